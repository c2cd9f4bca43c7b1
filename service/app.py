"""
The composition root: from settings to parts, applications, servers and their lifecycle.

The only module that knows every part. Switch a feature off by its setting, or take it
out for good by deleting its folder and its line in `_features`.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from service import __version__, demo, web
from service.config import SettingsStore
from service.observability import logging
from service.observability.access_log import AccessLog
from service.observability.loop_lag import LoopLag
from service.observability.metrics import Metrics
from service.observability.sample_metrics import SampleMetrics
from service.server import filters
from service.server.application import Application
from service.server.context import RequestContext
from service.server.delivery import deliver
from service.server.lifecycle import Lifecycle, Part, Phase
from service.server.listener import Server, ServerThread
from service.server.probes import Health, probe_routes
from service.server.responses import Response
from service.server.routes import Route
from service.server.typed_routes import TypedRoutes
from service.server.workers import Inherited
from service.settings import Settings

__all__ = ["Service", "create_app", "create_service", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """
    A service that is put together and not started.

    Attributes:
        app: The ASGI application of the main port.
        admin: The ASGI application of the admin port.
        typed: FastAPI's side of the main application.
        health: What the probes report.
        metrics: What is measured.
        parts: What is started and stopped with the service, in the order of the start.
    """

    app: Application
    admin: Application
    typed: TypedRoutes
    health: Health
    metrics: Metrics
    parts: list[Part]


def create_app(settings: Settings | None = None) -> Application:
    """
    Return the main ASGI application alone, for tests and other servers.

    Args:
        settings: What to build it by; the defaults without.
    """
    return create_service(SettingsStore.of(settings or Settings())).app


def create_service(
    store: SettingsStore,
    *,
    phase: Callable[[], Phase] = lambda: Phase.READY,
    multiprocess_dir: Path | None = None,
) -> Service:
    """
    Put the service together.

    Args:
        store: The settings, live.
        phase: Gives the lifecycle's phase, for the probes.
        multiprocess_dir: Where worker processes share their metrics.
    """
    settings = store.current
    metrics = Metrics(
        settings.metrics, version=__version__, multiprocess_dir=multiprocess_dir
    )
    lag = LoopLag(metrics, loop="main")
    health = Health(
        phase=phase,
        limits=lambda: store.current.probes,
        stalled_for=lambda: time.monotonic() - lag.heartbeat,
    )
    typed = TypedRoutes(
        title=settings.server.name, version=__version__, docs_url=None, redoc_url=None
    )
    app = Application(
        filters=_filters(store, metrics),
        body_limit=lambda: store.current.server.max_body_bytes,
        trailing_slash=settings.server.trailing_slash,
        websocket=typed.api,
    )
    app.add(*probe_routes(health, verbose=False), *_features(store, metrics))
    app.add(*typed.routes())
    typed.describe(app.routes)
    parts: list[Part] = [lag]
    if settings.metrics.sample:
        parts.append(SampleMetrics(metrics))
    return Service(
        app=app,
        admin=_admin(store, health, metrics),
        typed=typed,
        health=health,
        metrics=metrics,
        parts=parts,
    )


def _filters(store: SettingsStore, metrics: Metrics) -> list[filters.Filter]:
    """The order of the filters, outermost first: the one place where it stands."""
    server = store.current.server
    return [
        filters.forwarded(server.trusted_proxies),
        filters.request_id,
        filters.access_log(AccessLog().write, wanted=_logged(store)),
        filters.measure(metrics.http),
        deliver,
        filters.recover,
        filters.security_headers(),
        filters.time_limit(lambda: store.current.server.request_timeout),
    ]


def _logged(store: SettingsStore) -> Callable[[RequestContext], bool]:
    def wanted(ctx: RequestContext) -> bool:
        log = store.current.log
        return log.access and (log.probes or not ctx.probe)

    return wanted


def _features(store: SettingsStore, metrics: Metrics) -> list[Route]:
    """The routes of the features that are switched on."""
    routes: list[Route] = []
    if store.current.demo.enabled:
        routes += demo.routes(store, metrics)
    return routes


def _admin(store: SettingsStore, health: Health, metrics: Metrics) -> Application:
    """The application of the admin port: probes and metrics, never the public's."""
    app = Application(
        filters=[filters.request_id, deliver, filters.recover],
        body_limit=lambda: 0,
    )

    async def scrape(ctx: RequestContext) -> Response:
        body, media_type = metrics.render(ctx.headers.get("accept", ""))
        return Response(body, media_type=media_type)

    app.add(*probe_routes(health, verbose=True))
    app.add(Route(path="/metrics", handler=scrape, probe=True))
    return app
