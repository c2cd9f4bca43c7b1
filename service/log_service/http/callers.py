"""Who calls by HTTP, by the same rules as by gRPC, and which stream they mean."""

from collections.abc import Mapping

from service.commitlog import CommitLog
from service.log_api.errors import CallRefused, Reason
from service.log_service.access import Access, Action, Caller, token_of
from service.log_service.allowance import Allowance
from service.server.context import RequestContext

__all__ = ["Callers", "cookie_name"]

COOKIE = "log_token"
"""Holds the token of those who use the page: links and forms carry no header."""


def cookie_name(ctx: RequestContext) -> str:
    """Return the name of the cookie with the token."""
    # with the prefix no other host of the same domain can set it
    return f"__Host-{COOKIE}" if ctx.scheme == "https" else COOKIE


class Callers:
    """
    Lets requests pass to a stream.

    Args:
        logs: By the name of their stream.
        access: Who may do what.
        allowance: What each may take.

    Attributes:
        allowance: The same.
        default: Name of the stream of those who name none.

    Concurrency:
        For the main event loop.
    """

    def __init__(
        self, logs: Mapping[str, CommitLog], *, access: Access, allowance: Allowance
    ) -> None:
        self._logs = logs
        self._access = access
        self.allowance = allowance
        self.default = next(iter(logs))

    @property
    def streams(self) -> list[str]:
        """Names of all streams."""
        return list(self._logs)

    def identify(self, ctx: RequestContext) -> Caller:
        """
        Return who calls.

        A cookie counts for what changes nothing, and for the page's own forms, which
        have a token against forgery: another site could make a browser send it.

        Raises:
            CallRefused: Nobody knows.
        """
        given = ctx.raw_header(b"authorization")
        token = None if given is None else token_of(given)
        if token is None and (ctx.method in ("GET", "HEAD") or ctx.route == "/log"):
            kept = ctx.cookies.get(cookie_name(ctx))
            token = kept.encode() if kept else None
        return self._access.known(ctx.client, token=token)

    def allow(self, caller: Caller, stream: str, *actions: Action) -> None:
        """
        Return when *caller* may do one of *actions* with *stream*, as it is now.

        Raises:
            CallRefused: It may not.
        """
        self._access.allow(caller, stream, *actions)

    def admit(
        self, ctx: RequestContext, *actions: Action, name: str = ""
    ) -> tuple[Caller, str, CommitLog]:
        """
        Return who calls, the stream's name and its log, if the caller may, now.

        Args:
            ctx: The request; its path may name the stream.
            actions: It must be allowed one of them.
            name: Names the stream too.

        Raises:
            CallRefused: It may not, asks too often, or there is no such stream.
        """
        caller = self.identify(ctx)
        if caller.subjects:
            ctx.log_fields = {**ctx.log_fields, "subject": caller.name}
        stream = ctx.path_params.get("stream") or name or self.default
        self.allow(caller, stream, *actions)
        self.allowance.take(caller.name)
        try:
            return caller, stream, self._logs[stream]
        except KeyError:
            raise CallRefused(Reason.UNKNOWN_STREAM) from None
