"""
Files over HTTP: `PUT`, `POST`, `GET`, `HEAD` and `DELETE` below `/files/`.

A path with a slash at its end is a directory: it can be listed, and `POST` uploads into
it. `PUT` creates or replaces a file, `POST` only creates. Bodies are read and written
as they come; nothing is ever held whole.
"""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from service.errors import BadRequest, Forbidden, RequestError, Unauthorized
from service.files.answers import answered, outcome_of
from service.files.conditions import Condition
from service.files.digests import digest_field
from service.files.downloads import send_file
from service.files.errors import NotFound, PreconditionFailed
from service.files.forms import form_files
from service.files.listings import Render, as_json, read_listing, url_of
from service.files.paths import directory_path, file_path
from service.files.requests import (
    body_pieces,
    check_origin,
    condition_of,
    digests_of,
)
from service.files.store import FileStore, Stored, Upload
from service.observability.files_metrics import FilesMetrics
from service.server.context import RequestContext
from service.server.reading import check_coding, media_type
from service.server.responses import Response
from service.settings import FileSettings

__all__ = ["NEW", "FileServer", "check_body", "never_replacing", "stored_answer"]

_CREATED = 201
_NO_CONTENT = 204
_CONFLICT = 409

NEW = Condition(none_match=("*",))
"""No file may be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileServer:
    """
    The handlers of files.

    Attributes:
        store: Gives the store, once it is open.
        settings: Gives the settings, live.
        origins: Gives the other origins whose pages may change files.
        user: Gives the name of the user that a request comes from; empty for nobody.
        metrics: What is measured.
        render: Makes the answer of a listing.
    """

    store: Callable[[], FileStore]
    settings: Callable[[], FileSettings]
    origins: Callable[[], list[str]]
    user: Callable[[RequestContext], str]
    metrics: FilesMetrics
    render: Render = as_json

    async def get(self, ctx: RequestContext) -> Response:
        """GET and HEAD: a file, or a directory by its slash."""
        text = ctx.path_params.get("path", "")
        with answered():
            if not text or text.endswith("/"):
                return await self._list(ctx, directory_path(text))
            path = file_path(text)
            try:
                async with self.store().open(path) as file:
                    name = path.rpartition("/")[2]
                    return await send_file(ctx, file, name, count=self.metrics.sent)
            except NotFound:
                await self.store().list(path, limit=1)  # is it a directory?
                return ctx.redirect(url_of(path, directory=True), status=308)

    async def put(self, ctx: RequestContext) -> Response:
        """PUT: create or replace a file with the body."""
        path = self.put_path(ctx)
        stored = await self._keep(ctx, path, condition_of(ctx))
        return stored_answer(path, stored)

    async def post(self, ctx: RequestContext) -> Response:
        """POST to a directory: create a file of `?name=`, or those of a form."""
        if media_type(ctx.headers) == "multipart/form-data":
            paths = [path async for path in self.form_paths(ctx)]
            items = [{"url": url_of(path)} for path in paths]
            return ctx.write_json({"items": items}, status=_CREATED)
        path = self.post_path(ctx)
        with never_replacing():
            stored = await self._keep(ctx, path, NEW)
        return stored_answer(path, stored)

    def put_path(self, ctx: RequestContext) -> str:
        """
        Return which file a PUT is about.

        Raises:
            RequestError: It may not be put, or not like this.
        """
        self.admit(ctx)
        check_body(ctx)
        with answered():
            return file_path(ctx.path_params["path"])

    def post_path(self, ctx: RequestContext) -> str:
        """
        Return which file a POST is about.

        Raises:
            RequestError: It may not be posted, or not like this.
        """
        directory = self._directory(ctx)
        with answered():
            return file_path(directory + ctx.query.get("name", ""))

    def _directory(self, ctx: RequestContext) -> str:
        self.admit(ctx)
        check_body(ctx)
        directory = ctx.path_params.get("path", "")
        if directory and not directory.endswith("/"):
            raise BadRequest("POST goes to a directory: its path ends in a slash.")
        return directory

    async def delete(self, ctx: RequestContext) -> Response:
        """DELETE: remove a file."""
        self.admit(ctx)
        with answered():
            path = file_path(ctx.path_params["path"])
            await self.store().delete(path, condition_of(ctx))
        return ctx.no_content()

    def admit(self, ctx: RequestContext) -> None:
        """
        Let a request pass that may change files.

        Raises:
            RequestError: 401 or 403: it may not.
        """
        writers = self.settings().writers
        if writers == "nobody":
            raise Forbidden("Files are served here and not taken.")
        if writers == "users" and not self.user(ctx):
            headers = {"www-authenticate": 'Bearer realm="files"'}
            raise Unauthorized("Only users may change files.", headers=headers)
        check_origin(ctx, self.origins())

    async def _list(self, ctx: RequestContext, path: str) -> Response:
        return self.render(ctx, await read_listing(ctx, self.store(), path))

    async def _keep(
        self, ctx: RequestContext, path: str, condition: Condition
    ) -> Stored:
        """Keep the body of a request as a file."""
        length = ctx.raw_header(b"content-length")
        upload = Upload(
            condition=condition,
            digests=digests_of(ctx),
            size=None if length is None else int(length),
        )
        body = body_pieces(ctx, self.metrics.received)
        return await self.counted(path, body, upload)

    async def counted(
        self, path: str, chunks: AsyncIterable[bytes], upload: Upload
    ) -> Stored:
        """Put a file, and count what it comes to."""
        try:
            with answered():
                stored = await self.store().put(path, chunks, upload)
        except BaseException as error:
            self.metrics.uploaded(outcome_of(error.__cause__ or error))
            raise
        self.metrics.uploaded("stored")
        return stored

    async def form_paths(
        self,
        ctx: RequestContext,
        check: Callable[[Mapping[str, str]], None] = lambda _fields: None,
    ) -> AsyncIterator[str]:
        """
        Keep the files of a form, and yield the path of each when it is there.

        Args:
            ctx: The request.
            check: Told the form's other fields before each file; raises to refuse it.

        Raises:
            RequestError: One is refused; those before it stay.
        """
        directory = self._directory(ctx)
        body = body_pieces(ctx, self.metrics.received)
        fields: dict[str, str] = {}
        found = False
        async for file in form_files(ctx.headers["content-type"], body, fields):
            check(fields)
            with answered():
                path = file_path(directory + file.name)
            with never_replacing():
                await self.counted(path, file.chunks(), Upload(condition=NEW))
            found = True
            yield path
        if not found:
            raise BadRequest("The form has no file.")


def check_body(ctx: RequestContext) -> None:
    """
    Refuse a body that is no whole file as it is.

    Raises:
        BadRequest: It is a part of one (RFC 9110 §14.5).
        UnsupportedMediaType: It is compressed: nobody could tell after its name.
    """
    check_coding(ctx.raw_header(b"content-encoding"))
    if ctx.raw_header(b"content-range") is not None:
        raise BadRequest("A part of a file can't be put; resume an upload instead.")


def stored_answer(path: str, stored: Stored) -> Response:
    """Return the answer to an upload that is whole: 201, or 204 when it replaced."""
    headers = {"etag": stored.info.etag}
    if stored.info.digests:
        headers["repr-digest"] = digest_field(stored.info.digests)
    if stored.created:
        headers["location"] = url_of(path)
    return Response(status=_CREATED if stored.created else _NO_CONTENT, headers=headers)


@contextmanager
def never_replacing() -> Iterator[None]:
    """Tell that a file is there, rather than of a condition that nobody wrote."""
    try:
        yield
    except RequestError as error:
        if isinstance(error.__cause__, PreconditionFailed):
            detail = "A file of this name is there; POST never replaces one."
            headers = error.headers
            raise RequestError(detail, status=_CONFLICT, headers=headers) from None
        raise
