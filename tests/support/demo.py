"""The sample routes in memory, with settings, chance and time that a test decides."""

from argon2 import PasswordHasher
from argon2.profiles import CHEAPEST
from pydantic import SecretStr

from service.demo import Identity, Login, Samples, Tokens, login_routes, routes
from service.demo.passwords import Passwords
from service.server import filters
from service.server.application import Application
from service.server.delivery import deliver
from service.settings import DemoSettings, FlagSettings, LoginSettings
from tests.support.asgi import client

__all__ = ["HASHER", "KEY", "DemoBench", "LoginBench"]

HASHER = PasswordHasher.from_parameters(CHEAPEST)
KEY = SecretStr("k" * 32)


def application(found):
    """Return an application of *found* routes that takes bodies as large as any."""
    app = Application(
        filters=[filters.request_id, deliver],
        body_limit=lambda: 1_000_000,
    )
    app.add(*found)
    return app


class DemoBench:
    """The sample routes; `settings` and `flags` may be changed at any time."""

    def __init__(self, **settings):
        self.settings = DemoSettings(**settings)
        self.flags = FlagSettings()
        self.drawn = []
        self.slept = []
        self.observed = []
        self.samples = Samples(
            Identity(name="demo", version="1.2.3", host="here", admin_port=9090),
            settings=lambda: self.settings,
            waits=lambda _ctx: self.flags.random_delay,
            uniform=self._uniform,
            observe=self.observed.append,
            sleep=self._sleep,
        )
        self.client = client(application(routes(self.samples)))

    def _uniform(self, low, high):
        self.drawn.append((low, high))
        return (low + high) / 2

    async def _sleep(self, seconds):
        self.slept.append(seconds)


class LoginBench:
    """The login with one user, ann, whose password is `secret`."""

    def __init__(self, **settings):
        users = {"ann": SecretStr(HASHER.hash("secret"))}
        self.settings = LoginSettings(**({"users": users, "token_key": KEY} | settings))
        self.now = 1_800_000_000.0
        self.results = []
        self.passwords = Passwords(hasher=HASHER)
        self.tokens = Tokens(
            issuer="demo", settings=lambda: self.settings, now=lambda: self.now
        )
        login = Login(
            settings=lambda: self.settings,
            tokens=self.tokens,
            count=self.results.append,
            passwords=self.passwords,
        )
        self.client = client(application(login_routes(login)))

    async def log_in(self, username="ann", password="secret"):
        """Log in by JSON."""
        fields = {"username": username, "password": password}
        return await self.client.post("/user/login", json=fields)

    async def who(self, token):
        """Ask whose *token* is."""
        headers = {"authorization": f"Bearer {token}"}
        return await self.client.get("/user/login", headers=headers)
