"""The routes of the log for programs; records are the JSON form of `log.v1.Record`."""

import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

from service.commitlog import CommitLog
from service.commitlog.errors import CommitLogError
from service.commitlog.reading import check_offset, read_lowest
from service.errors import Unprocessable
from service.log_service.access import Action
from service.log_service.http.answers import record_json, refusal
from service.log_service.http.following import Followers
from service.log_service.http.requests import MOST_RECORDS, number, read_records
from service.log_service.http.served import Served
from service.server.context import RequestContext
from service.server.idempotency import REPLAYED
from service.server.responses import JSON, Response, StreamResponse, json_bytes
from service.server.routes import Handler, Route

__all__ = ["LogApi", "largest_body"]

_PAGE = 100
_MOST_BYTES = 1_048_576
"""Records of a page, and their bytes after which no further one is added."""

_NO_STORE = {"cache-control": "no-store"}

Answer = Callable[[RequestContext], Awaitable[Response]]


def largest_body(max_batch_bytes: int) -> int:
    """Return the bytes of JSON that a batch of so many bytes may be."""
    return max_batch_bytes * 3 // 2 + 65_536


class LogApi:
    """
    The log's API.

    Args:
        served: What it shares with the page.
        followers: Streams of events.
        caching: What caches may do with a record, as a header's value.

    Concurrency:
        For the main event loop.
    """

    def __init__(self, served: Served, *, followers: Followers, caching: str) -> None:
        self._callers, self._appending, self._observe, self._refused = served
        self._followers = followers
        self._caching = caching

    def routes(self, *, max_body_bytes: int) -> list[Route]:
        """Return the routes, those of a stream and those of the default one."""
        return [
            route
            for base, of in (("/log", ""), ("/log/streams/{stream}", " of a stream"))
            for route in self._of(base, of, max_body_bytes)
        ]

    def _of(self, base: str, of: str, max_body_bytes: int) -> list[Route]:
        records = f"{base}/records"
        found = [
            self._route(records, self.page, f"Read records{of}, from an offset on"),
            self._route(
                f"{records}/follow",
                self.follow,
                f"Follow records{of} by Server-Sent Events",
            ),
            self._route(
                f"{records}/{{offset:[0-9]+}}", self.one, f"Read one record{of}"
            ),
            self._route(
                f"{base}/offsets", self.offsets, f"Tell which records{of} are there"
            ),
        ]
        produce = Route(
            path=records,
            handler=self.told(self.produce),
            methods=("POST",),
            summary=f"Append one or more records{of or ' to the log'}",
            max_body_bytes=max_body_bytes,
            time_limit=0,  # log_service.limits.timeout
        )
        return [*found, produce]

    def _route(self, path: str, handler: Answer, summary: str) -> Route:
        return Route(path=path, handler=self.told(handler), summary=summary)

    def told(self, handler: Answer) -> Handler:
        """Return *handler* with a problem in the place of what a log raises."""

        async def answer(ctx: RequestContext) -> Response:
            try:
                return await handler(ctx)
            except CommitLogError as error:
                problem = refusal(ctx, error)
                self._refused(str(problem.extensions["reason"]))
                raise problem from error

        return answer

    async def produce(self, ctx: RequestContext) -> Response:
        """Append what the body holds; answer once all is acknowledged."""
        caller, stream, log = self._callers.admit(ctx, Action.PRODUCE)
        records = await read_records(ctx)
        done = await self._appending.append(ctx, caller, (stream, log), records)
        told = {"stream": stream, "offset": done.value, "count": len(records)}
        where = f"/log/streams/{stream}/records/{done.value}"
        response = ctx.created(told, location=where)
        if done.replayed:
            response.add_header(REPLAYED, "true")
        return response

    async def one(self, ctx: RequestContext) -> Response:
        """Return the record at an offset; it never changes."""
        _, stream, log = self._callers.admit(ctx, Action.CONSUME)
        offset = number(ctx.path_params["offset"], "offset")
        await check_offset(log, offset, past=0)
        record = (await log.read(offset, max_records=1))[0]
        body = json_bytes(record_json(record))
        etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        headers = {
            "etag": etag,
            "cache-control": self._caching,
            "vary": "Authorization, Cookie",
        }
        if _has(ctx.headers.get("if-none-match", ""), etag):
            return Response(status=304, headers=headers)
        self._observe(stream, Action.CONSUME, 1)
        return Response(body, media_type=JSON, headers=headers)

    async def page(self, ctx: RequestContext) -> Response:
        """Return records from an offset on; none at the end of the log."""
        _, stream, log = self._callers.admit(ctx, Action.CONSUME)
        offset = await _from(ctx, log, "lowest")
        limit = number(ctx.query.get("limit", str(_PAGE)), "limit")
        if not 0 < limit <= MOST_RECORDS:
            raise _invalid("limit", f"is a whole number from 1 to {MOST_RECORDS}")
        await check_offset(log, offset)
        limits = {"max_records": limit, "max_bytes": _MOST_BYTES}
        if _is_lowest(ctx, "lowest"):
            offset, records = await read_lowest(log, offset, **limits)
        else:
            records = await log.read(offset, **limits)
        self._observe(stream, Action.CONSUME, len(records))
        offset += len(records)
        lowest, end = log.offsets()
        if offset >= end:  # whoever reads up to the end must not stop before it
            lowest, end = await log.fresh_offsets()
        told: dict[str, Any] = {"records": list(map(record_json, records))}
        told |= {"next_from": offset, "lowest": lowest, "next": end}
        return ctx.write_json(told, headers=_NO_STORE)

    async def offsets(self, ctx: RequestContext) -> Response:
        """Return which records can be read, and where those of a time begin."""
        _, stream, log = self._callers.admit(ctx, Action.PRODUCE, Action.CONSUME)
        lowest, end = await log.fresh_offsets()
        told: dict[str, Any] = {"stream": stream, "lowest": lowest, "next": end}
        at = ctx.query.get("timestamp_ms")
        if at is not None:
            told["offset_at_timestamp"] = await log.offset_at(
                number(at, "timestamp_ms")
            )
        return ctx.write_json(told, headers=_NO_STORE)

    async def follow(self, ctx: RequestContext) -> Response:
        """Stream records as they come, after the last one that the client has."""
        caller, stream, log = self._callers.admit(ctx, Action.CONSUME)
        last = ctx.headers.get("last-event-id")
        after = number(last, "Last-Event-ID") + 1 if last else None
        offset = await _from(ctx, log, "next") if after is None else after
        await check_offset(log, offset)
        self._followers.admit()
        with self._callers.allowance.stream(caller.name):
            pass  # refused before the stream begins, while there is a status to tell

        def given(count: int) -> None:
            self._callers.allow(caller, stream, Action.CONSUME)
            self._observe(stream, Action.CONSUME, count)

        # else a page that is open would count as a slow request
        ctx.answered = time.perf_counter()
        place = self._callers.allowance.stream(caller.name)
        return StreamResponse(
            self._followers.events(
                log,
                offset,
                given=given,
                place=place,
                is_lowest=after is None and _is_lowest(ctx, "next"),
            ),
            media_type="text/event-stream",
            # some proxies keep an answer until it is whole, unless they are told
            headers={**_NO_STORE, "x-accel-buffering": "no"},
        )


async def _from(ctx: RequestContext, log: CommitLog, default: str) -> int:
    """Return the offset that the query names: a number, `lowest` or `next`."""
    given = ctx.query.get("from", default)
    if given == "next":
        return (await log.fresh_offsets()).next
    # one that has gone meanwhile is passed over when it is read
    return log.offsets().lowest if given == "lowest" else number(given, "from")


def _is_lowest(ctx: RequestContext, default: str) -> bool:
    """Whether the query names the lowest offset, whichever that is."""
    return ctx.query.get("from", default) == "lowest"


def _invalid(field: str, rule: str) -> Unprocessable:
    told = {"reason": "invalid_request", "field": field}
    return Unprocessable(f"{field} {rule}.", extensions=told)


def _has(if_none_match: str, etag: str) -> bool:
    """Whether the client's tags name *etag* (RFC 9110 §13.1.2)."""
    tags = (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
    return any(tag in ("*", etag) for tag in tags)
