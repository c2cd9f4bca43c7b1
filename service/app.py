"""
The composition root: from settings to parts, features and applications.

The only module that knows every part. Switch a feature off by its setting, or take it
out for good by deleting its folder and its name in `FEATURES`.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from service import __version__
from service.applications import (
    admin_application,
    main_application,
    typed_routes,
)
from service.client.part import ClientPart, propagating
from service.config import SettingsStore
from service.feature import Core, Feature
from service.flags import Flags
from service.observability.access_log import AccessLog
from service.observability.log_sampling import LogSampling
from service.observability.loop_lag import LoopLag
from service.observability.metrics import MULTIPROCESS_VARIABLE, Metrics
from service.observability.sample_metrics import SampleMetrics
from service.observability.tls_metrics import TlsMetrics
from service.request_settings import RequestSettings
from service.server import filters
from service.server.application import Application, Filter
from service.server.certificates import Certificates
from service.server.context import RequestContext
from service.server.cors import cors
from service.server.delivery import deliver
from service.server.lifecycle import Phase
from service.server.parts import CheckedPart, Part
from service.server.probes import Check, Health
from service.server.recording import access_log, measure
from service.server.typed_routes import TypedRoutes
from service.settings import ServerSettings, Settings

if TYPE_CHECKING:
    from service.client.client import Propagate
    from service.discovery.assembly import Assembled
    from service.discovery.view import Discovery
    from service.observability.client_metrics import ClientMetrics
    from service.tracing.assembly import Tracing

FEATURES = (
    "service.overload",
    "service.control",
    "service.demo",
    "service.catalogue",
    "service.fan_out",
    "service.sms",
    "service.proxy",
    "service.phonebook",
    "service.files",
    "service.log_service",
    "service.web",
)
"""Packages whose function `feature` adds to the service, in this order."""

__all__ = ["FEATURES", "Service", "create_app", "create_service", "metrics_push"]


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
        client: Calls other services; one of the parts.
        certificates: The TLS context in use, one of the parts; None without TLS.
    """

    app: Application
    admin: Application
    typed: TypedRoutes
    health: Health
    metrics: Metrics
    parts: list[Part]
    client: ClientPart
    certificates: Certificates | None = None


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
    health = Health(
        phase=phase,
        limits=lambda: store.current.probes,
        stalled_for=lambda: time.monotonic() - lag.heartbeat,
    )
    found = _discovery(store, metrics, health)
    discovery = found.discovery if found else None
    client = _client(store, metrics, discovery)
    features = _features(store, metrics, health, client, discovery, multiprocess_dir)
    log = AccessLog()
    tracing = _tracing(store, metrics)
    # what stops last tells what was left out of the others' lines
    parts: list[Part] = [_sampling(store, metrics), log]
    parts += [*([tracing.part] if tracing else []), lag]
    parts += [*(found.parts if found else []), client]
    certificates = _certificates(store, metrics)
    parts += [certificates] if certificates else []
    parts += [SampleMetrics(metrics)] if settings.metrics.sample else []
    parts += [part for feature in features for part in feature.parts]
    health.checks = _checks(parts) | (checks or {})
    typed = typed_routes(settings.server.name)
    for name, feature in zip(("", *FEATURES), features, strict=True):
        for router in feature.routers:
            typed.include(router, part=_part_name(name))
    asked = RequestSettings(store)
    chain = _filters(settings.server, asked, metrics, log, tracing, features)
    return Service(
        app=main_application(settings.server, asked, health, features, chain, typed),
        admin=admin_application(health, metrics, features),
        typed=typed,
        health=health,
        metrics=metrics,
        parts=parts,
        client=client,
        certificates=certificates,
    )


def metrics_push(store: SettingsStore, metrics: Metrics) -> list[Part]:
    """
    Return the part that pushes the metrics of the whole service, where one is wanted.

    Args:
        store: The settings, live.
        metrics: Those of the process that knows all: the one with the admin port.
    """
    settings = store.current
    if settings.metrics.push.exporter == "none":
        return []
    # OpenTelemetry takes its time to import
    from service.observability.metrics_push import MetricsPush
    from service.observability.metrics_sender import MetricsSender
    from service.observability.otlp import resource

    send = MetricsSender(
        lambda: store.current.metrics.push.otlp,
        resource=resource(settings.server.name, version=__version__),
    )
    interval = settings.metrics.push.interval
    push = MetricsPush(metrics.families, send, count=metrics.pushed, interval=interval)
    return [push]


def _certificates(store: SettingsStore, metrics: Metrics) -> Certificates | None:
    """Return the part that keeps the TLS context, where there is TLS."""
    tls = store.current.server.tls
    if not tls.enabled:
        return None
    return Certificates(tls, metrics=TlsMetrics(metrics.registry))


def _sampling(store: SettingsStore, metrics: Metrics) -> LogSampling:
    """Return the part that leaves lines of floods out of the log."""
    sampling = LogSampling(store.current.log.sampling, metrics.log)
    store.subscribe(lambda _old, new: sampling.adapt(new.log.sampling))
    return sampling


def _tracing(store: SettingsStore, metrics: Metrics) -> "Tracing | None":
    """Return what traces requests, where they are traced."""
    if store.current.tracing.exporter == "none":
        return None
    # OpenTelemetry takes its time to import
    from service.tracing.assembly import tracing

    return tracing(store, metrics)


def _discovery(
    store: SettingsStore, metrics: Metrics, health: Health
) -> "Assembled | None":
    """Return what finds other services, where some are configured."""
    if not store.current.discovery.wanted:
        return None
    # the DNS, the store and the cluster have clients that take their time to import
    from service.discovery.assembly import assemble
    from service.observability.discovery_metrics import DiscoveryMetrics

    return assemble(
        lambda: store.current.discovery,
        metrics=DiscoveryMetrics(metrics.shared),
        prefix="httpserver:discovery:",
        ready=lambda: health.phase() is Phase.READY and not health.switched_off(),
        # of a parent and its workers, the parent speaks for the instance
        announces=MULTIPROCESS_VARIABLE not in os.environ,
    )


def _client(
    store: SettingsStore, metrics: Metrics, discovery: "Discovery | None"
) -> ClientPart:
    """Return what makes the client of the service, once somebody asks for it."""

    def measured() -> "ClientMetrics":
        from service.observability.client_metrics import ClientMetrics

        return ClientMetrics(metrics.shared)

    trace: Propagate | None = None
    if store.current.tracing.exporter != "none":
        from service.tracing.propagation import inject

        trace = inject
    return ClientPart(
        lambda: store.current.client,
        metrics=measured,
        propagate=propagating(trace),
        balancer=lambda: discovery.balancer if discovery else None,
    )


def _features(
    store: SettingsStore,
    metrics: Metrics,
    health: Health,
    client: ClientPart,
    discovery: "Discovery | None",
    shared: Path | None,
) -> list[Feature]:
    """Return what each feature adds, its routes marked with its name."""
    authenticate: list[Callable[[RequestContext], str | None]] = []
    flags = Flags(
        lambda: store.current.flags, authenticate=authenticate, metrics=metrics.flags
    )
    core = Core(
        store=store,
        metrics=metrics,
        health=health,
        flags=flags,
        client_part=client,
        discovery=discovery,
        balancer=lambda: discovery.balancer if discovery else None,
        version=__version__,
        multiprocess_dir=shared,
        part_names=tuple(map(_part_name, FEATURES)),
        authenticate=authenticate,
    )
    found = [_named(name, import_module(name).feature(core)) for name in FEATURES]
    return [Feature(parts=[flags]), *found]


def _named(module: str, feature: Feature) -> Feature:
    part = _part_name(module)
    routes = [replace(route, part=part) for route in feature.routes]
    return replace(feature, routes=routes)


def _part_name(module: str) -> str:
    return module.rpartition(".")[2]


def _filters(
    server: ServerSettings,
    asked: RequestSettings,
    metrics: Metrics,
    log: AccessLog,
    tracing: "Tracing | None",
    features: list[Feature],
) -> list[Filter]:
    """Return the filters, outermost first: the one place where their order stands."""
    # Inside deliver, so that a page of another origin can read a problem document too;
    # outside whatever may refuse or be slow, so that a 503 or 504 carries the headers,
    # and a preflight, which browsers send without credentials, is never asked for any.
    sharing = [cors(server.cors)] if server.cors.origins else []
    return [
        filters.forwarded(server.trusted_proxies),
        filters.request_id,
        *([tracing.filter] if tracing else []),
        access_log(log.write, wanted=_logged(asked)),
        measure(metrics.http),
        deliver,
        filters.security_headers(),
        filters.served_hosts(lambda: asked.hosts),
        *sharing,
        filters.time_limit(lambda: asked.request_timeout),
        *(each for feature in features for each in feature.filters),
    ]


def _checks(parts: list[Part]) -> dict[str, Check]:
    """Return the readiness checks of the parts that have one."""
    return {part.name: part.check for part in parts if isinstance(part, CheckedPart)}


def _logged(asked: RequestSettings) -> Callable[[RequestContext], bool]:
    def wanted(ctx: RequestContext) -> bool:
        return asked.logged and (asked.probes_logged or not (ctx.probe or ctx.quiet))

    return wanted
