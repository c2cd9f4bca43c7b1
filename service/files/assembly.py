"""The file server's routes and store, made from the settings."""

from service.feature import Core, Feature
from service.files.keeping import Kept
from service.files.listings import PATH
from service.files.page import FilePages
from service.files.page_views import Views
from service.files.resumable import Resumable
from service.files.server import FileServer
from service.files.taking import Taking
from service.files.turns import Turns
from service.files.upload_fields import UPLOADS
from service.observability.files_metrics import FilesMetrics
from service.server.context import RequestContext
from service.server.routes import Handler, Route
from service.settings import FileSettings

__all__ = ["files"]

_ANY_SIZE = 1 << 62
"""Bytes of a body: how many it may have is asked of the settings at each upload."""


def files(core: Core) -> Feature:
    """Return the file server."""

    def settings() -> FileSettings:
        return core.store.current.files

    def user(ctx: RequestContext) -> str:
        return next((name for ask in core.authenticate if (name := ask(ctx))), "")

    metrics = FilesMetrics(core.metrics.shared)
    kept = Kept(settings, metrics)
    server = FileServer(
        store=lambda: kept.store,
        settings=settings,
        origins=lambda: core.store.current.server.cors.origins,
        user=user,
        metrics=metrics,
        render=lambda ctx, listing: pages.render(ctx, listing),  # noqa: PLW0108 - they are made of the server, below
    )
    taking = Taking(server=server, place=lambda: kept, turns=Turns())
    uploads = Resumable(server=server, taking=taking)
    pages = FilePages(server, uploads, Views())
    return Feature(routes=_routes(server, uploads, pages), parts=[kept])


def _routes(server: FileServer, uploads: Resumable, pages: FilePages) -> list[Route]:
    paths, root = f"{PATH}{{path:path}}", PATH.removesuffix("/")
    upload = f"{UPLOADS}{{id}}"
    return [
        _route("GET", paths, pages.get, "Give a file, or list a directory"),
        _route("PUT", paths, uploads.put, "Create or replace a file"),
        _route("POST", paths, pages.post, "Upload files into a directory"),
        _route("DELETE", paths, server.delete, "Remove a file"),
        _route("OPTIONS", paths, uploads.options, ""),
        _route("GET", root, pages.get, ""),
        _route("POST", root, pages.post, ""),
        _route("HEAD", upload, uploads.look, "Tell how much of an upload is there"),
        _route("PATCH", upload, uploads.append, "Go on with an upload"),
        _route("DELETE", upload, uploads.cancel, "Give an upload up"),
    ]


def _route(method: str, path: str, handler: Handler, summary: str) -> Route:
    return Route(
        path=path,
        handler=handler,
        methods=(method,),
        summary=summary,
        max_body_bytes=_ANY_SIZE,
        # how long a file takes is its client's business; the listener minds the pace
        time_limit=0,
    )
