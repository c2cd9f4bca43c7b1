"""The log service, put together from the settings."""

from collections.abc import Callable
from functools import partial

from service.feature import Core, Feature
from service.log_service.access import Access, ListedAccess, OpenAccess
from service.log_service.calls import Calls, Span, no_span
from service.log_service.credentials import ServerCredentials
from service.log_service.ending import Endings
from service.log_service.listener import LogListener
from service.log_service.servicer import add_log_service
from service.log_service.streams import Streams
from service.observability.commitlog_metrics import CommitLogMetrics
from service.server.lifecycle import Phase
from service.settings import LogServiceSettings

__all__ = ["log_service"]


def log_service(core: Core) -> Feature:
    """Return the parts of the log service: what listens stops before what it serves."""

    def settings() -> LogServiceSettings:
        return core.store.current.log_service

    metrics = CommitLogMetrics(core.metrics.shared)
    streams = Streams(settings, metrics=metrics)
    endings = Endings()
    is_listed = settings().access == "listed"
    access = ListedAccess(settings) if is_listed else OpenAccess()
    register = partial(
        add_log_service,
        log=streams,
        access=access,
        limits=lambda: settings().limits,
        endings=endings,
        observe=metrics.moved,
    )
    tls = settings().tls
    credentials = ServerCredentials(tls, metrics=metrics) if tls.enabled else None
    listener = LogListener(
        settings(),
        register=register,
        calls=Calls(
            metrics=metrics,
            endings=endings,
            max_calls=settings().limits.max_calls,
            limits=lambda: settings().limits,
            logged=lambda: core.store.current.log.access,
            span=_spans(core),
        ),
        endings=endings,
        ready=partial(_ready, core),
        credentials=credentials,
    )
    core.store.subscribe(lambda _old, _new: listener.look())
    http = _http(streams, settings, access)
    certificates = [credentials] if credentials else []
    return Feature(
        routes=http.routes, parts=[streams, *certificates, *http.parts, listener]
    )


def _http(
    streams: Streams, settings: Callable[[], LogServiceSettings], access: Access
) -> Feature:
    """Return the routes of the log on the public port, where they are switched on."""
    if not settings().http.enabled:
        return Feature()
    # the templates' library takes its time to import
    from service.log_service.http.assembly import log_http

    return log_http(streams, settings=settings, access=access)


async def _ready(core: Core) -> bool:
    """Whether the readiness probe would say yes."""
    health = core.health
    if health.phase() is not Phase.READY or health.switched_off() is not None:
        return False
    return not await health.failures()


def _spans(core: Core) -> Span:
    """Return what makes spans, where calls are traced."""
    if core.store.current.tracing.exporter == "none":
        return no_span
    # OpenTelemetry takes its time to import
    from service.tracing.calls import call_span

    return lambda method, metadata: call_span(
        method, metadata, trusted=core.store.current.tracing.trust_callers
    )
