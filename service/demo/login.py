"""
`/user/login`: a token for a name and a password, and what a token says.

What could be misused is bounded: attempts per client and name, hashes at a time, sizes.
An unknown name and a wrong password get the same answer after the same work.
"""

from collections.abc import Callable

from service.demo.credentials import Credentials, read_credentials
from service.demo.passwords import Passwords
from service.demo.tokens import Claims, Tokens
from service.errors import (
    RequestError,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    retry_after,
)
from service.observability.logging import get_logger
from service.resilience.keyed_throttle import KeyedThrottle
from service.server.context import RequestContext
from service.server.responses import Response
from service.server.routes import Route
from service.settings import LoginSettings

__all__ = ["Login", "login_routes"]


class Login:
    """
    The handlers of `/user/login`.

    Args:
        settings: Gives users and limits as they are now.
        tokens: Issues and verifies tokens.
        count: Counts a login by its result: `success`, `wrong`, `throttled`,
            `overloaded` or `malformed`.
        passwords: Checks passwords.
        throttle: Limits attempts by client and name.
    """

    def __init__(
        self,
        *,
        settings: Callable[[], LoginSettings],
        tokens: Tokens,
        count: Callable[[str], None],
        passwords: Passwords | None = None,
        throttle: KeyedThrottle | None = None,
    ) -> None:
        self._settings = settings
        self._tokens = tokens
        self._count = count
        self._passwords = passwords or Passwords()
        self._throttle = throttle or KeyedThrottle(self._limits)

    async def log_in(self, ctx: RequestContext) -> Response:
        """
        Give a token for a valid name and password.

        Raises:
            Unauthorized: They are wrong.
            Unprocessable: A field is missing or unusable.
            TooManyRequests: This client tried this name too often.
            Unavailable: Too many logins are waiting.
        """
        try:
            credentials = await read_credentials(ctx)
        except RequestError:
            self._count("malformed")
            raise
        self._admit(ctx.client, credentials.username)
        await self._authenticate(credentials)
        token, lifetime = self._tokens.issue(credentials.username)
        ctx.principal = credentials.username
        self._count("success")
        get_logger("httpserver.login").info("logged_in", username=credentials.username)
        return ctx.write_json(
            {"access_token": token, "token_type": "Bearer", "expires_in": lifetime},
            headers={"cache-control": "no-store"},
        )

    async def who(self, ctx: RequestContext) -> Response:
        """
        Tell whose the Bearer token is and how long it is still good.

        Raises:
            Unauthorized: There is none, it is not valid, or its user is gone.
        """
        claims = self._claims(ctx)
        ctx.principal = claims.username
        return ctx.write_json(
            {"username": claims.username, "expires_in": claims.expires_in},
            headers={"cache-control": "no-store"},
        )

    def user(self, ctx: RequestContext) -> str | None:
        """Return whose valid Bearer token a request carries, or None."""
        if ctx.raw_header(b"authorization") is None:
            return None
        try:
            return self._claims(ctx).username
        except Unauthorized:
            return None

    def _claims(self, ctx: RequestContext) -> Claims:
        scheme, _, token = ctx.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise self._tokens.demand("This needs a Bearer token.")
        claims = self._tokens.verify(token.strip())
        if claims.username not in self._settings().users:
            raise self._tokens.refusal("The token is not valid, or its time is over.")
        return claims

    def _admit(self, client: str, username: str) -> None:
        """Refuse a client that tries a name too often."""
        wait = self._throttle.try_acquire((client, username))
        if wait > 0:
            self._count("throttled")
            raise TooManyRequests(
                "Too many attempts for this name.",
                headers=retry_after(wait),
            )

    async def _authenticate(self, credentials: Credentials) -> None:
        users = self._settings().users
        try:
            valid = await self._passwords.check(
                users, credentials.username, credentials.password
            )
        except Unavailable:
            self._count("overloaded")
            raise
        if not valid:
            self._count("wrong")
            raise self._tokens.demand("Name or password is wrong.")

    def _limits(self) -> tuple[float, float]:
        """Return the burst and the rate per second of one client and name."""
        attempts = self._settings().attempts_per_minute
        return max(1.0, attempts), attempts / 60


def login_routes(login: Login) -> list[Route]:
    """Return the routes of *login*."""
    path = "/user/login"
    return [
        Route(
            path=path,
            methods=("POST",),
            handler=login.log_in,
            summary="Get a token for a name and a password",
        ),
        Route(path=path, handler=login.who, summary="Tell whose the token is"),
    ]
