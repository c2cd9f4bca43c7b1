"""An application of the server core in memory, and a client for it."""

from collections.abc import Sequence

import httpx2

from service.server import filters
from service.server.application import Application, Filter
from service.server.delivery import deliver
from service.server.routes import Handler, Route

__all__ = ["application", "client"]


def application(
    *routes: Route, extra: Sequence[Filter] = (), limit: float = 5.0, **options
) -> Application:
    """Return an application with the usual filters and *extra* ones inside them."""
    app = Application(
        filters=[
            filters.request_id,
            deliver,
            filters.security_headers(),
            filters.time_limit(lambda: limit),
            *extra,
        ],
        body_limit=lambda: 1000,
        **options,
    )
    app.add(*routes)
    return app


def client(app: Application | Handler) -> httpx2.AsyncClient:
    """Return a client of *app*, or of one handler that answers every path."""
    if not isinstance(app, Application):
        methods = ("GET", "POST", "PUT", "DELETE")
        app = application(Route(path="/{path:path}", handler=app, methods=methods))
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=True)
    return httpx2.AsyncClient(transport=transport, base_url="http://test")
