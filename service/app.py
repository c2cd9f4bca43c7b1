"""
The composition root: from settings to parts, applications, servers and their lifecycle.

The only module that knows every part. Switch a feature off by its setting, or take it
out for good by deleting its folder and its line in `_features`.
"""

import asyncio
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvloop
from structlog.contextvars import bind_contextvars

from service import __version__, demo
from service.config import SettingsStore
from service.observability import logging
from service.observability.access_log import AccessLog
from service.observability.loop_lag import LoopLag
from service.observability.metrics import (
    MULTIPROCESS_VARIABLE,
    Metrics,
    mark_worker_dead,
)
from service.observability.sample_metrics import SampleMetrics
from service.server import filters
from service.server.application import Application, Filter
from service.server.context import RequestContext
from service.server.delivery import deliver
from service.server.lifecycle import CheckedPart, Lifecycle, MainServer, Part, Phase
from service.server.listener import Server, ServerThread
from service.server.probes import Check, Health, probe_routes
from service.server.responses import Response
from service.server.routes import Handler, Route
from service.server.typed_routes import TypedRoutes
from service.server.workers import Inherited, WorkerPool
from service.settings import LoginSettings, Settings
from service.web import Pages

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
    checks: dict[str, Check] | None = None,
    multiprocess_dir: Path | None = None,
) -> Service:
    """
    Put the service together.

    Args:
        store: The settings, live.
        phase: Gives the lifecycle's phase, for the probes.
        checks: Readiness checks besides those of the parts, by name.
        multiprocess_dir: Where worker processes share their metrics.
    """
    settings = store.current
    metrics = Metrics(
        settings.metrics, version=__version__, multiprocess_dir=multiprocess_dir
    )
    store.report_to(metrics)
    lag = LoopLag(metrics, loop="main")
    parts: list[Part] = [lag]
    if settings.metrics.sample:
        parts.append(SampleMetrics(metrics))
    health = Health(
        phase=phase,
        limits=lambda: store.current.probes,
        stalled_for=lambda: time.monotonic() - lag.heartbeat,
        checks=_checks(parts) | (checks or {}),
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
    return Service(
        app=app,
        admin=_admin(health, metrics),
        typed=typed,
        health=health,
        metrics=metrics,
        parts=parts,
    )


def _filters(store: SettingsStore, metrics: Metrics) -> list[Filter]:
    """Return the filters, outermost first: the one place where their order stands."""
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


def _checks(parts: list[Part]) -> dict[str, Check]:
    """Return the readiness checks of the parts that have one."""
    return {part.name: part.check for part in parts if isinstance(part, CheckedPart)}


def _logged(store: SettingsStore) -> Callable[[RequestContext], bool]:
    def wanted(ctx: RequestContext) -> bool:
        log = store.current.log
        return log.access and (log.probes or not ctx.probe)

    return wanted


def _features(store: SettingsStore, metrics: Metrics) -> list[Route]:
    """Return the routes of the features that are switched on."""
    pages = Pages()
    routes = pages.routes()
    if store.current.demo.enabled:
        routes += demo.routes(_samples(store, metrics, page=pages.front))
    if store.current.login.enabled:
        routes += demo.login_routes(_login(store, metrics))
    return routes


def _samples(store: SettingsStore, metrics: Metrics, *, page: Handler) -> demo.Samples:
    server = store.current.server
    # port 0 is whichever was free: not known here
    admin_port = server.admin.port or None if server.admin.enabled else None
    return demo.Samples(
        demo.Identity(name=server.name, version=__version__, admin_port=admin_port),
        settings=lambda: store.current.demo,
        flags=lambda: store.current.flags,
        uniform=random.uniform,
        observe=metrics.random_delay.observe,
        page=page,
    )


def _login(store: SettingsStore, metrics: Metrics) -> demo.Login:
    def settings() -> LoginSettings:
        return store.current.login

    return demo.Login(
        settings=settings,
        tokens=demo.Tokens(issuer=store.current.server.name, settings=settings),
        count=lambda result: metrics.logins.labels(result).inc(),
    )


def _admin(health: Health, metrics: Metrics) -> Application:
    """Return the application of the admin port: probes and metrics."""
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


# -- running ---------------------------------------------------------------------


def run(store: SettingsStore) -> int:
    """
    Serve until a signal; return the exit code of the process.

    Args:
        store: The settings; they are watched and reloaded while serving.
    """
    logging.configure(store.current.log)
    inherited = Inherited.from_environment()
    if inherited is not None:
        main = _serve_as_worker(store, inherited)
    elif store.current.server.workers > 1:
        main = _serve_as_parent(store)
    else:
        main = _serve_alone(store)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


async def _serve_alone(store: SettingsStore) -> int:
    """Serve in this one process."""
    process = _Process(store)
    service = create_service(store, phase=process.phase)
    return await process.serve(service, main=_main_server(service, store.current))


async def _serve_as_worker(store: SettingsStore, inherited: Inherited) -> int:
    """Serve on the parent's sockets, without an admin port."""
    bind_contextvars(worker=os.getpid())
    process = _Process(store, on_ready=inherited.report_ready)
    shared = Path(os.environ[MULTIPROCESS_VARIABLE])
    service = create_service(store, phase=process.phase, multiprocess_dir=shared)
    server = _main_server(service, store.current)
    server.bind(inherited.sockets())
    inherited.watch_parent(process.request_stop)
    return await process.serve(service, main=server, admin=False)


async def _serve_as_parent(store: SettingsStore) -> int:
    """Keep the workers and the admin port."""
    settings = store.current.server
    process = _Process(store)
    with tempfile.TemporaryDirectory(prefix="httpserver-metrics-") as shared:
        pool = WorkerPool(
            name=settings.name,
            host=settings.host,
            ports=settings.ports,
            count=settings.workers,
            environment={MULTIPROCESS_VARIABLE: shared},
            on_exit=partial(mark_worker_dead, Path(shared)),
        )
        service = create_service(
            store,
            phase=process.phase,
            checks={"workers": pool.check},
            multiprocess_dir=Path(shared),
        )
        process.on_hangup = partial(pool.signal, signal.SIGHUP)
        return await process.serve(service, main=pool)


def _main_server(service: Service, settings: Settings) -> Server:
    return Server(
        service.app,
        name=settings.server.name,
        host=settings.server.host,
        ports=settings.server.ports,
        backlog=settings.server.backlog,
        keep_alive=settings.server.keep_alive,
        drain=service.app.drain,
    )


def _admin_server(service: Service, settings: Settings) -> ServerThread:
    admin = settings.server.admin
    name = f"{settings.server.name}-admin"
    server = Server(service.admin, name=name, host=admin.host, ports=[admin.port])
    return ServerThread(server)


class _Process:
    """The settings, the service and the lifecycle of one process, wired together."""

    def __init__(
        self, store: SettingsStore, *, on_ready: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._on_ready = on_ready
        self._lifecycle: Lifecycle | None = None
        self.on_hangup: Callable[[], None] = lambda: None

    def phase(self) -> Phase:
        return Phase.STARTING if self._lifecycle is None else self._lifecycle.phase

    def request_stop(self) -> None:
        if self._lifecycle is not None:
            self._lifecycle.request_stop()

    async def serve(
        self, service: Service, *, main: MainServer, admin: bool = True
    ) -> int:
        settings = self._store.current
        service.health.main_loop = asyncio.get_running_loop()
        self._store.subscribe(lambda _old, new: logging.set_levels(new.log))
        self._lifecycle = Lifecycle(
            parts=[*service.parts, self._store.watcher],
            main=main,
            admin=_admin_server(service, settings)
            if admin and settings.server.admin.enabled
            else None,
            timing=settings.server,
            on_phase=partial(self._entered, service),
            on_hangup=self._reload,
        )
        return await self._lifecycle.run()

    def _entered(self, service: Service, phase: Phase) -> None:
        service.metrics.lifecycle.enter(phase.value)
        if phase is Phase.READY:
            self._on_ready()

    def _reload(self) -> None:
        self._store.reload()
        self.on_hangup()
