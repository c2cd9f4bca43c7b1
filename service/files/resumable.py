"""
Uploads that can be resumed: the IETF's draft, over `PUT`, `POST` and a resource each.

A request with `Upload-Complete` begins one. Its bytes are kept even if the connection
is cut; the upload's own resource then tells how many there are (`HEAD`), takes more
(`PATCH`), and what comes last makes the file, all at once. `DELETE` gives it up.

Source: draft-ietf-httpbis-resumable-upload-12 (interop version 8)
"""

from dataclasses import dataclass

from service.errors import BadRequest, UnsupportedMediaType
from service.files.answers import answered
from service.files.conditions import Condition
from service.files.records import Record
from service.files.requests import condition_of, digests_of
from service.files.server import NEW, FileServer, check_body, never_replacing
from service.files.taking import Taking
from service.files.upload_fields import (
    MEDIA_TYPE,
    announce,
    completes,
    limit_field,
    offset_of,
    said_length,
    upload_problem,
    upload_url,
)
from service.server.context import RequestContext
from service.server.reading import media_type
from service.server.responses import Response

__all__ = ["Resumable"]

_CREATED = 201
_NO_CONTENT = 204
_CONFLICT = 409
_FAILED = 500
_NO_STORAGE = 507


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumable:
    """
    The handlers of uploads that can be resumed, and of those that are just sent.

    Attributes:
        server: The handlers of whole files.
        taking: What is done with one upload.
    """

    server: FileServer
    taking: Taking

    async def put(self, ctx: RequestContext) -> Response:
        """PUT: a whole file, or the begin of one."""
        complete = completes(ctx)
        if complete is None:
            return await self.server.put(ctx)
        path = self.server.put_path(ctx)
        return await self._begin(ctx, path, condition_of(ctx), complete=complete)

    async def post(self, ctx: RequestContext) -> Response:
        """POST: whole files, or the begin of one."""
        complete = completes(ctx)
        if complete is None:
            return await self.server.post(ctx)
        path = self.server.post_path(ctx)
        with never_replacing():
            return await self._begin(ctx, path, NEW, complete=complete)

    async def options(self, _ctx: RequestContext) -> Response:
        """OPTIONS: what can be done, uploads in parts included."""
        headers = {
            "allow": "DELETE, GET, HEAD, OPTIONS, POST, PUT",
            "accept-patch": MEDIA_TYPE,
            "upload-limit": limit_field(self.server.settings()),
        }
        return Response(status=_NO_CONTENT, headers=headers)

    async def look(self, ctx: RequestContext) -> Response:
        """HEAD of an upload: how much of it is there."""
        with answered():
            async with self.taking.turn(ctx) as (record, partial):
                offset = partial.arrival.size if partial else record.length or 0
        headers = self.taking.state(record, offset) | {"cache-control": "no-store"}
        return Response(status=_NO_CONTENT, headers=headers)

    async def append(self, ctx: RequestContext) -> Response:
        """PATCH of an upload: the next bytes of it, maybe the last."""
        if media_type(ctx.headers) != MEDIA_TYPE:
            headers = {"accept-patch": MEDIA_TYPE}
            raise UnsupportedMediaType(f"PATCH takes {MEDIA_TYPE}.", headers=headers)
        complete = completes(ctx)
        if complete is None:
            raise BadRequest("Upload-Complete says whether this is the last: ?1 or ?0.")
        offset = offset_of(ctx)
        check_body(ctx)
        with answered():
            async with self.taking.turn(ctx) as (_record, partial):
                if partial is None:
                    raise upload_problem("completed-upload", "The upload is complete.")
                self.taking.check_offset(ctx, partial, offset, complete=complete)
                return await self.taking.take(ctx, partial, complete=complete)

    async def cancel(self, ctx: RequestContext) -> Response:
        """DELETE of an upload: it will not go on."""
        with answered():
            async with self.taking.turn(ctx) as (_record, partial):
                if partial is not None:
                    place = self.taking.place()
                    await place.threads.run(place.partials.remove, partial)
                    self.server.metrics.uploaded("cancelled")
        return ctx.no_content()

    # -- one upload ------------------------------------------------------------------

    async def _begin(
        self, ctx: RequestContext, path: str, condition: Condition, *, complete: bool
    ) -> Response:
        length = said_length(ctx, complete=complete, offset=0)
        record = Record(
            path=path,
            user=self.server.user(ctx),
            length=length,
            condition=condition,
            digests=digests_of(ctx, ("repr-digest",)),
        )
        with answered():
            await self.taking.check(record)
            partial = await self.taking.created(record)
            partials = self.taking.place().partials
            try:
                url = upload_url(partial.upload_id)
                announce(ctx, url, limit_field(self.server.settings()))
                async with self.taking.turns.of(partial.upload_id):
                    response = await self.taking.take(ctx, partial, complete=complete)
            finally:
                partials.close(partial)
        if not complete:
            response.status = _CREATED
            response.add_header("location", url)
        return response
