"""
One upload that can be resumed: begun, gone on with, and made a file.

Whatever ends a request, the bytes that came are kept; only an upload that can never
come to its end is thrown away.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from service.errors import RequestError
from service.files import errors
from service.files.answers import outcome_of
from service.files.digests import Hashing
from service.files.disk_errors import told
from service.files.gathering import gathered
from service.files.partials import Partial, Partials, TooMany
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

    async def open(self, ctx: RequestContext) -> Partial:
        """
        Return the upload that a request is about; it is still to be closed.

        Raises:
            NotFound: There is none.
        """
        partials, upload_id = self.place().partials, ctx.path_params["id"]
        return await self.place().threads.acquire(
            partials.close, lambda: partials.open(upload_id)
        )

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

    async def _receive(self, ctx: RequestContext, partial: Partial) -> None:
        """Write what comes; whatever ends it, what came is kept."""
        place, before = self.place(), partial.arrival.size
        hashing = Hashing(digests_of(ctx, ("content-digest",)), always=())
        body = body_pieces(ctx, self.server.metrics.received)
        try:
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
        self.place().check_room(size, size - arrival.counted)
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
