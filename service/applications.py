"""The ASGI applications of both ports: their routes, put together from the features."""

from service import __version__
from service.feature import Feature
from service.observability.metrics import Metrics
from service.request_settings import RequestSettings
from service.server import filters
from service.server.application import Application, Filter
from service.server.context import RequestContext
from service.server.delivery import deliver
from service.server.probes import Health, probe_routes
from service.server.responses import Response
from service.server.routes import Route
from service.server.typed_routes import TypedRoutes
from service.settings import ServerSettings

__all__ = ["admin_application", "main_application", "typed_routes"]

_NO_TELEMETRY = {"tracing": False, "metrics": False, "logs": False}
"""FastAPI's own would make a second span of each request; ours knows every route."""


def typed_routes(title: str) -> TypedRoutes:
    """Return FastAPI's side; the pages of its documentation are ours."""
    return TypedRoutes(
        title=title,
        version=__version__,
        docs_url=None,
        redoc_url=None,
        telemetry=_NO_TELEMETRY,
    )


def main_application(
    server: ServerSettings,
    asked: RequestSettings,
    health: Health,
    features: list[Feature],
    chain: list[Filter],
    typed: TypedRoutes,
) -> Application:
    """
    Return the application of the main port: all that clients ask for.

    Args:
        server: How it was started.
        asked: What requests ask for, live.
        health: What the probes report.
        features: Whose routes it has.
        chain: The filters, outermost first.
        typed: FastAPI's side, whose routes it has too.
    """
    app = Application(
        filters=chain,
        body_limit=lambda: asked.body_limit,
        trailing_slash=server.trailing_slash,
        websocket=typed.api,
        lookups=[each for feature in features for each in feature.lookups],
    )
    app.add(*probe_routes(health, verbose=False))
    app.add(*(route for feature in features for route in feature.routes))
    app.add(*typed.routes())
    typed.describe(app.routes)
    return app


def admin_application(
    health: Health, metrics: Metrics, features: list[Feature]
) -> Application:
    """
    Return the application of the admin port: probes, metrics, control.

    Args:
        health: What the probes report, parts by name.
        metrics: What scrapes get.
        features: Whose routes for operators it has.
    """
    app = Application(
        filters=[
            filters.request_id,
            deliver,
            filters.security_headers(),
        ],
        body_limit=lambda: 0,
    )

    async def scrape(ctx: RequestContext) -> Response:
        body, media_type = metrics.render(
            ctx.headers.get("accept", ""), names=ctx.query.getlist("name[]")
        )
        return Response(body, media_type=media_type)

    app.add(*probe_routes(health, verbose=True))
    app.add(Route(path="/metrics", handler=scrape, probe=True))
    app.add(*(route for feature in features for route in feature.admin_routes))
    return app
