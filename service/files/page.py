"""
`/files/…` for people: directories as pages in any browser, on the same paths.

Uploading and deleting work by forms alone; the script of the page adds progress,
cancelling and going on after a cut. Who prefers JSON is answered as before.
"""

from collections.abc import Mapping

from service.errors import Forbidden, RequestError, UnsupportedMediaType
from service.files.answers import answered
from service.files.conditions import Condition, tags
from service.files.listings import PATH, Listing, as_json, url_of
from service.files.page_views import COOKIE, Views
from service.files.paths import file_path
from service.files.resumable import Resumable
from service.files.server import FileServer
from service.server.context import RequestContext
from service.server.form_origin import check_origin, has_token
from service.server.negotiation import prefers_html
from service.server.reading import media_type
from service.server.responses import Response

__all__ = ["FilePages"]

_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
_MAX_FORM_BYTES = 4096
_SEE_OTHER, _PERMANENT = 303, 308
_CONFLICT, _CHANGED, _FORBIDDEN = 409, 412, 403


class FilePages:
    """
    The handlers of the paths that browsers and programs share.

    Args:
        server: Answers programs.
        uploads: Takes their uploads.
        views: Renders.
    """

    def __init__(self, server: FileServer, uploads: Resumable, views: Views) -> None:
        self._server = server
        self._uploads = uploads
        self._views = views

    async def get(self, ctx: RequestContext) -> Response:
        """GET: a file, a directory, or the question whether to delete."""
        if not _by_browser(ctx):
            return await self._server.get(ctx)
        if f"{ctx.path}/" == PATH:  # the page's links are relative
            return ctx.redirect(PATH, status=_PERMANENT)
        try:
            if "delete" in ctx.query:
                return await self._question(ctx)
            return await self._server.get(ctx)
        except RequestError as error:
            return self._views.problem(ctx, error)

    async def post(self, ctx: RequestContext) -> Response:
        """POST: uploads, of programs or by a form, or the answer to the question."""
        kind = media_type(ctx.headers)
        try:
            if "delete" in ctx.query:
                return await self._delete(ctx, kind)
            if kind == _MULTIPART and _by_browser(ctx):
                return await self._upload(ctx)
        except RequestError as error:
            if not _by_browser(ctx):
                raise
            return self._views.problem(ctx, error)
        return await self._uploads.post(ctx)

    def render(self, ctx: RequestContext, listing: Listing) -> Response:
        """Return *listing* as the client would rather have it."""
        if not _by_browser(ctx):
            ctx.response_headers.append((b"vary", b"Accept"))
            return as_json(ctx, listing)
        return self._views.listing(ctx, listing, may_write=self._may_write(ctx))

    def _may_write(self, ctx: RequestContext) -> bool:
        try:
            self._server.admit(ctx)
        except RequestError:
            return False
        return True

    async def _upload(self, ctx: RequestContext) -> Response:
        """Keep the files of the page's form, and lead back to it."""
        check_origin(ctx)
        count = 0

        def check(fields: Mapping[str, str]) -> None:
            if not has_token(ctx, fields.get("token", ""), cookie=COOKIE):
                raise Forbidden(
                    "Nothing was kept: the page was open for too long, or your browser "
                    "keeps no cookies. Open it again."
                )

        try:
            async for _ in self._server.form_paths(ctx, check):
                count += 1
        except RequestError as error:
            if not count or error.detail is None:
                raise
            error.detail += f" Files that were kept before it: {count}."
            raise
        directory = ctx.path_params.get("path", "").rstrip("/")
        place = url_of(directory, directory=True)
        return ctx.redirect(f"{place}?uploaded={count}", status=_SEE_OTHER)

    async def _question(self, ctx: RequestContext, *, status: int = 200) -> Response:
        """Answer the question whether to delete what is there now."""
        self._server.admit(ctx)
        with answered():
            path = file_path(ctx.path_params.get("path", ""))
            info = await self._server.store().stat(path)
        return self._views.question(ctx, path, info, status=status)

    async def _delete(self, ctx: RequestContext, kind: str) -> Response:
        """Delete a file, if it is the version that the question showed."""
        if kind != _FORM:
            raise UnsupportedMediaType(
                "This route reads a form.", headers={"accept": _FORM}
            )
        check_origin(ctx)
        self._server.admit(ctx)
        ctx.body_limit = _MAX_FORM_BYTES
        form = await ctx.read_form()
        if not has_token(ctx, str(form.get("token", "")), cookie=COOKIE):
            return await self._question(ctx, status=_FORBIDDEN)
        try:
            with answered():
                path = file_path(ctx.path_params.get("path", ""))
                meant = Condition(match=tags(str(form.get("version", ""))))
                await self._server.store().delete(path, meant)
        except RequestError as error:
            if error.status != _CHANGED:
                raise
            return await self._question(ctx, status=_CHANGED)
        place = url_of(path.rpartition("/")[0], directory=True)
        return ctx.redirect(f"{place}?deleted", status=_SEE_OTHER)


def _by_browser(ctx: RequestContext) -> bool:
    return prefers_html(ctx.headers.get("accept", ""))
