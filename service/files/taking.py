"""
One upload that can be resumed: begun, gone on with, and made a file.

Whatever ends a request, the bytes that came are kept; only an upload that can never
come to its end is thrown away.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from service.concurrency.cancelling import cancelled
from service.errors import RequestError, Unavailable, retry_after
from service.files import errors
from service.files.answers import outcome_of
from service.files.digests import Hashing
from service.files.disk_errors import told
from service.files.gathering import gathered
from service.files.partials import Held, Partial, Partials, TooMany
from service.files.records import Record
from service.files.requests import body_pieces, digests_of
from service.files.server import FileServer, stored_answer
from service.files.staging import Staged
from service.files.store import Upload
from service.files.threads import Threads
from service.files.turns import Turns
from service.files.upload_fields import (
    flag,
    limit_field,
    said_length,
    upload_problem,
)
from service.server.context import RequestContext
from service.server.responses import Response

__all__ = ["Place", "Taking"]

_CONFLICT = 409
_FAILED = 500
_NO_CONTENT = 204
_NO_STORAGE = 507

_PATIENCE = {Held: 10.0, errors.NotFound: 2.0}
"""Seconds that another process may take to let go of an upload, and to note that it has
made a file of it."""

_AGAIN = 0.05
"""Seconds between two attempts to take an upload that another process has."""

_GLANCE = 0.2
"""Seconds between two looks whether another process wants an upload."""

_SOON = 1.0
"""Seconds after which a client may ask again for what another process has."""


class Place(Protocol):
    """
    Where uploads wait, once it is open.

    Attributes:
        partials: What waits there.
        threads: Where the disk is waited for.
    """

    partials: Partials
    threads: Threads

    def check_room(self, size: int, more: int) -> None:
        """Refuse a file of *size* bytes, and *more* bytes beside what is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """
    What is done with an upload.

    Attributes:
        server: The handlers of whole files, and what they know.
        place: Gives where the uploads wait.
        turns: Lets one request at a time go on with an upload.
    """

    server: FileServer
    place: Callable[[], Place]
    turns: Turns

    async def check(self, record: Record) -> None:
        """Refuse at once what would be refused at the end."""
        try:
            info = await self.server.store().stat(record.path)
        except errors.NotFound:
            record.condition.check(None)
        else:
            record.condition.check(info.etag, info.modified)
        size, place = record.length or 0, self.place()
        await place.threads.run(place.check_room, size, size)

    async def created(self, record: Record) -> Partial:
        """
        Begin an upload.

        Raises:
            RequestError: 507: as many wait as may.
        """
        partials = self.place().partials
        try:
            return await self.place().threads.acquire(
                partials.discard, lambda: partials.create(record)
            )
        except TooMany:
            detail = "As many uploads wait to be resumed as may."
            raise RequestError(detail, status=_NO_STORAGE) from None

    async def known(self, ctx: RequestContext) -> Record:
        """
        Return what is known of the upload that a request is about.

        Raises:
            NotFound: There is none, or it is another user's.
        """
        self.server.admit(ctx)
        record = await self.place().threads.run(
            self.place().partials.record, ctx.path_params["id"]
        )
        if record.user and record.user != self.server.user(ctx):
            raise errors.NotFound
        return record

    @asynccontextmanager
    async def turn(
        self, ctx: RequestContext
    ) -> AsyncIterator[tuple[Record, Partial | None]]:
        """
        Give what is known of the upload that a request is about, and the upload while
        it is not complete. Whatever request had it has ended, in this process or
        another.

        Raises:
            NotFound: There is none.
            Unavailable: Another process does not let go of it.
        """
        async with self.turns.of(ctx.path_params["id"]):
            record, partial = await self._found(ctx)
            try:
                yield record, partial
            finally:
                if partial is not None:
                    self.place().partials.close(partial)

    async def _found(self, ctx: RequestContext) -> tuple[Record, Partial | None]:
        upload_id, began = ctx.path_params["id"], time.monotonic()
        while True:
            record = await self.known(ctx)
            if record.complete:
                await self._withdraw(upload_id)
                return record, None
            try:
                partial = await self._open(upload_id)
            except (Held, errors.NotFound) as error:
                if time.monotonic() > began + _PATIENCE[type(error)]:
                    await self._withdraw(upload_id)
                    raise _kept_by_another(error) from None
            else:
                return partial.record, partial
            await asyncio.sleep(_AGAIN)

    async def _open(self, upload_id: str) -> Partial:
        """Take an upload; if another process has it, say that it is wanted."""
        place = self.place()

        def opened() -> Partial:
            place.partials.answer(upload_id)  # what this request has left before
            try:
                return place.partials.open(upload_id)
            except Held:
                place.partials.want(upload_id)
                raise

        return await place.threads.acquire(place.partials.close, opened)

    async def _withdraw(self, upload_id: str) -> None:
        """Take back that an upload is wanted: this request waits for it no longer."""
        await self._is_wanted(upload_id)

    def check_offset(
        self, ctx: RequestContext, partial: Partial, offset: int, *, complete: bool
    ) -> None:
        """
        Compare what a request says of the upload with what is there.

        Raises:
            RequestError: 409: it is at another offset. 400: its lengths disagree.
        """
        expected = partial.arrival.size
        if offset != expected:
            error = upload_problem(
                "mismatching-upload-offset",
                "The upload is at another offset.",
                status=_CONFLICT,
                expected_offset=expected,
                provided_offset=offset,
            )
            error.headers |= self.state(partial.record, expected)
            raise error
        known = partial.record.length
        length = said_length(ctx, complete=complete, offset=offset, known=known)
        partial.record = replace(partial.record, length=length)

    async def take(
        self, ctx: RequestContext, partial: Partial, *, complete: bool
    ) -> Response:
        """Take the content of a request; make the file if it is the last."""
        await self._receive(ctx, partial)
        if not complete:
            headers = self.state(partial.record, partial.arrival.size)
            return Response(status=_NO_CONTENT, headers=headers)
        if partial.record.length not in (None, partial.arrival.size):
            raise upload_problem(
                "inconsistent-upload-length", "The upload is shorter than announced."
            )
        with self.turns.undisturbed(partial.upload_id):
            return await self._finish(partial)

    @asynccontextmanager
    async def _lent(self, partial: Partial) -> AsyncIterator[None]:
        """End this request as soon as another process wants what it waits for."""
        me = asyncio.current_task()
        assert me is not None  # noqa: S101 - a coroutine runs in a task

        async def look() -> None:
            while True:  # one cancellation may be lost
                await asyncio.sleep(_GLANCE)
                if await self._is_wanted(partial.upload_id):
                    me.cancel()

        looking = asyncio.create_task(look(), name="files-wanted")
        try:
            yield
        finally:
            await cancelled([looking])

    async def _is_wanted(self, upload_id: str) -> bool:
        place = self.place()
        try:
            return await place.threads.run(place.partials.answer, upload_id)
        except errors.FileError:
            return False  # who writes to the disk is told of it

    async def _receive(self, ctx: RequestContext, partial: Partial) -> None:
        """Write what comes; whatever ends it, what came is kept."""
        place, before = self.place(), partial.arrival.size
        hashing = Hashing(digests_of(ctx, ("content-digest",)), always=())
        body = body_pieces(ctx, self.server.metrics.received)
        try:
            async with self._lent(partial):
                async for data in gathered(body):
                    await place.threads.run(self._write, partial, data, hashing)
            hashing.verified()
        except (errors.TooLarge, RequestError) as error:
            # it can never come to an end
            await place.threads.run(place.partials.remove, partial)
            self.server.metrics.uploaded(outcome_of(error))
            raise
        except errors.DigestMismatch:
            await place.threads.run(place.partials.shorten, partial, before)
            await place.threads.run(place.partials.keep, partial)
            raise
        except BaseException:
            self.server.metrics.uploaded("stopped")
            await place.threads.run(place.partials.keep, partial)
            raise
        await place.threads.run(place.partials.keep, partial)

    def _write(self, partial: Partial, data: bytes, hashing: Hashing) -> None:
        arrival, length = partial.arrival, partial.record.length
        size = arrival.size + len(data)
        if length is not None and size > length:
            detail = "The upload is longer than announced."
            raise upload_problem("inconsistent-upload-length", detail)
        place = self.place()
        place.partials.reserve(arrival, size, lambda more: place.check_room(size, more))
        with told():
            arrival.write(data, hashing)

    async def _finish(self, partial: Partial) -> Response:
        """Make the file of an upload that is whole."""
        place, record = self.place(), partial.record
        staged = Staged(partial.arrival, place.partials.directory, place.threads)
        upload = Upload(
            condition=record.condition,
            digests=record.digests,
            size=partial.arrival.size,
        )
        try:
            stored = await self.server.counted(record.path, staged, upload)
        except RequestError as error:
            if error.status < _FAILED:  # it would be refused again
                await place.threads.run(place.partials.remove, partial)
                error.headers["upload-complete"] = flag(complete=True)
            raise
        await place.threads.run(place.partials.complete, partial)
        response = stored_answer(record.path, stored)
        response.add_header("upload-complete", flag(complete=True))
        return response

    def state(self, record: Record, offset: int) -> dict[str, str]:
        """Return the headers that tell how far an upload is."""
        headers = {
            "upload-complete": flag(complete=record.complete),
            "upload-offset": str(offset),
            "upload-limit": limit_field(self.server.settings()),
        }
        if record.length is not None:
            headers["upload-length"] = str(record.length)
        return headers


def _kept_by_another(error: Exception) -> Exception:
    """Return what a client is told when an upload could not be taken."""
    if isinstance(error, Held):
        detail = "Another request goes on with this upload."
        return Unavailable(detail, headers=retry_after(_SOON))
    return error
