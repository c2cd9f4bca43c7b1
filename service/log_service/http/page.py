"""
`/log`: the end of a stream for people, and a form to add to it.

The list, its search and the form work by links; the script adds the records that come
meanwhile. Where the log asks who calls, a form takes the token, and a cookie keeps it.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from service.commitlog import CommitLog, Record
from service.commitlog.errors import CommitLogError
from service.commitlog.reading import read_lowest
from service.errors import Forbidden, RequestError, UnsupportedMediaType
from service.log_service.access import Action, Caller
from service.log_service.http.answers import refusal
from service.log_service.http.callers import cookie_name
from service.log_service.http.requests import number
from service.log_service.http.served import Served
from service.log_service.http.views import COOKIE, Views, view_of
from service.server.context import RequestContext
from service.server.form_origin import check_origin, has_token
from service.server.reading import media_type
from service.server.responses import Response
from service.server.routes import Handler, Route

__all__ = ["LogPage"]

PATH = "/log"
_TOKEN = "/log/token"  # noqa: S105 - a path
_KIND = "application/x-www-form-urlencoded"
_MAX_FORM = 262_144
_SHOWN = 50
_SEARCHED = 500
"""Records of a page, and records that are looked through for a key."""
_UNAUTHORIZED = 401


class LogPage:
    """
    The page.

    Args:
        served: What it shares with the API.
        listed: Whether the log asks who calls.

    Concurrency:
        For the main event loop.
    """

    def __init__(self, served: Served, *, listed: bool) -> None:
        self._callers, self._appending, self._observe, self._refused = served
        self._listed = listed
        self._views = Views()

    def routes(self) -> list[Route]:
        """Return the routes of the page."""
        found = [
            Route(path=PATH, handler=self._told(self._list)),
            self._form(PATH, self._add),
        ]
        return [*found, self._form(_TOKEN, self._sign_in)] if self._listed else found

    def _form(self, path: str, handler: Handler) -> Route:
        return Route(
            path=path,
            handler=self._told(handler),
            methods=("POST",),
            max_body_bytes=_MAX_FORM,
        )

    def _told(self, handler: Handler) -> Handler:
        """Return *handler* with its refusals as pages."""

        async def answer(ctx: RequestContext) -> Response:
            try:
                return await handler(ctx)
            except RequestError as error:
                problem = error
            except CommitLogError as error:
                problem = refusal(ctx, error)
                self._refused(str(problem.extensions["reason"]))
            asks = self._listed and problem.status == _UNAUTHORIZED
            return self._views.problem(
                ctx, problem, asks=asks, unknown=_is_unknown(problem)
            )

        return answer

    async def _list(self, ctx: RequestContext) -> Response:
        caller, stream, log = self._callers.admit(
            ctx, Action.CONSUME, name=ctx.query.get("stream", "")
        )
        key = ctx.query.get("key", "")
        lowest, end = await log.fresh_offsets()
        span = _SEARCHED if key else _SHOWN
        given = ctx.query.get("before", "")
        before = min(number(given, "before"), end) if given else end
        wanted = max(lowest, before - span)
        start, records = await _read(log, wanted, before)
        lowest = lowest if start == wanted else start
        if key:
            records = [each for each in records if each.key == key.encode()]
        self._observe(stream, Action.CONSUME, len(records))
        done = ctx.query.get("done", "")
        return self._views.page(
            ctx,
            "list.html",
            headers={"cache-control": "no-store"},
            stream=stream,
            streams=self._streams(caller),
            records=[view_of(each) for each in reversed(records)],
            key=key,
            start=start,
            before=before,
            lowest=lowest,
            end=end,
            older="?" + _query(stream, key, before=start) if start > lowest else "",
            newest="?" + _query(stream, key),
            done=number(done, "done") if done else None,
            may_add=self._may(caller, stream),
            listed=self._listed,
        )

    async def _add(self, ctx: RequestContext) -> Response:
        form = await self._sent(ctx)
        stream = form.get("stream", "")
        caller, stream, log = self._callers.admit(ctx, Action.PRODUCE, name=stream)
        # browsers end the lines of a text area as mail does
        value = form.get("value", "").replace("\r\n", "\n").encode()
        key = form.get("key", "").encode() or None
        record = Record(value, key)
        to = (stream, log)
        done = await self._appending.append(ctx, caller, to, [record])
        back = _query(stream, form.get("shown", ""), done=done.value)
        return ctx.redirect(f"log?{back}", status=303)

    async def _sign_in(self, ctx: RequestContext) -> Response:
        form = await self._sent(ctx)
        name = cookie_name(ctx)
        try:
            ctx.set_cookie(name, form.get("secret", ""), same_site="Strict")
        except ValueError:
            raise Forbidden("This can't be a token of the log.") from None
        return ctx.redirect("../log", status=303)

    async def _sent(self, ctx: RequestContext) -> dict[str, str]:
        """Return the fields of a form of ours."""
        check_origin(ctx)
        if media_type(ctx.headers) != _KIND:
            detail = "This route reads a form."
            raise UnsupportedMediaType(detail, headers={"accept": _KIND})
        form = {name: str(value) for name, value in (await ctx.read_form()).items()}
        if not has_token(ctx, form.get("token", ""), cookie=COOKIE):
            detail = "Nothing was stored: the form was open for too long. Try again."
            raise Forbidden(detail)
        return form

    def _streams(self, caller: Caller) -> list[str]:
        """Return the streams that *caller* may read."""
        return [
            each
            for each in self._callers.streams
            if self._may(caller, each, Action.CONSUME)
        ]

    def _may(
        self, caller: Caller, stream: str, action: Action = Action.PRODUCE
    ) -> bool:
        try:
            self._callers.allow(caller, stream, action)
        except CommitLogError:
            return False
        return True


async def _read(log: CommitLog, start: int, end: int) -> tuple[int, Sequence[Record]]:
    """Return the records from *start*, or what is the lowest now, up to *end*."""
    found: list[Record] = []
    while start + len(found) < end:
        begun = start + len(found)
        first, records = await read_lowest(log, begun, max_records=end - begun)
        if first > begun:  # retention was faster
            start, found = first, []
        if not records:
            break
        found += records
    return start, found[: max(0, end - start)]


def _query(stream: str, key: str, **more: int) -> str:
    return urlencode({"stream": stream, **({"key": key} if key else {}), **more})


def _is_unknown(problem: RequestError) -> bool:
    told: Any = problem.extensions.get("outcome")
    return bool(told == "unknown")
