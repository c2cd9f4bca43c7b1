"""The sample routes and the login, put together from settings and metrics."""

import random

from service.demo.login import Login, login_routes
from service.demo.routes import Identity, Samples, routes
from service.demo.tokens import Tokens
from service.feature import Core, Feature
from service.server.routes import Route
from service.settings import LoginSettings

__all__ = ["feature"]


def feature(core: Core) -> Feature:
    """Return the routes that the settings switch on."""
    settings = core.store.current
    found: list[Route] = []
    if settings.demo.enabled:
        found += routes(_samples(core))
    if settings.login.enabled:
        login = _login(core)
        found += login_routes(login)
        core.authenticate.append(login.user)
    return Feature(routes=found)


def _samples(core: Core) -> Samples:
    server = core.store.current.server
    # port 0 is whichever was free: not known here
    admin_port = server.admin.port or None if server.admin.enabled else None
    return Samples(
        Identity(name=server.name, version=core.version, admin_port=admin_port),
        settings=lambda: core.store.current.demo,
        waits=lambda ctx: core.flags.boolean("random_delay", ctx, default=True),
        uniform=random.uniform,
        observe=core.metrics.random_delay.observe,
    )


def _login(core: Core) -> Login:
    def settings() -> LoginSettings:
        return core.store.current.login

    return Login(
        settings=settings,
        tokens=Tokens(
            issuer=core.store.current.server.name,
            settings=settings,
            shared=core.multiprocess_dir,
        ),
        count=lambda result: core.metrics.logins.labels(result).inc(),
    )
