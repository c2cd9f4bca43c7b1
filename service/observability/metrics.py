"""
The metrics of one service, in a registry of its own: two services can share a process.

With worker processes each worker keeps its values in files of a shared directory, and
the parent, which serves `/metrics`, adds them up; what only the parent knows
(lifecycle, settings, its own process) it reports itself.
"""

import platform
from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from typing_extensions import override

from service.observability.http_metrics import HttpMetrics
from service.settings import MetricsSettings

__all__ = ["MULTIPROCESS_VARIABLE", "LifecycleMetrics", "Metrics", "mark_worker_dead"]

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable that makes prometheus_client keep values in files; it must be
set before the worker's first import."""

LAG_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class LifecycleMetrics:
    """The phase of the process, as a state set, and the transitions so far."""

    PHASES = ("starting", "ready", "draining", "stopping", "stopped")

    def __init__(self, registry: CollectorRegistry) -> None:
        self._phase = Gauge(
            "httpserver_lifecycle_phase",
            "1 for the phase that the process is in.",
            ["phase"],
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._transitions = Counter(
            "httpserver_lifecycle_transitions_total",
            "Phases that the process has entered.",
            ["phase"],
            registry=registry,
        )

    def enter(self, phase: str) -> None:
        """Report that *phase* begins."""
        for each in self.PHASES:
            self._phase.labels(each).set(each == phase)
        self._transitions.labels(phase).inc()


class Metrics:
    """
    Everything that is measured.

    Args:
        settings: Buckets of the histograms.
        version: Version of the service, for the build info.
        multiprocess_dir: Where worker processes share their values, if there are any.

    Attributes:
        http: Metrics of requests.
        lifecycle: The phase of the process.
        random_delay: The random delays of `/`, in seconds.
        loop_lag: How late the event loops wake, in seconds, by loop.

    Concurrency:
        Any thread.
    """

    def __init__(
        self,
        settings: MetricsSettings,
        *,
        version: str,
        multiprocess_dir: Path | None = None,
    ) -> None:
        self.registry = CollectorRegistry()
        self._shared = CollectorRegistry()
        shared = self.registry if multiprocess_dir is None else self._shared
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._multiprocess_dir = multiprocess_dir
        self.http = HttpMetrics(shared, buckets=settings.buckets)
        self.lifecycle = LifecycleMetrics(self.registry)
        self.random_delay = Histogram(
            "httpserver_random_delay_seconds",
            "Random delays of the demo route `/`.",
            buckets=settings.buckets,
            registry=shared,
        )
        self.logins = Counter(
            "httpserver_logins_total",
            "Logins, by result.",
            ["result"],
            registry=shared,
        )
        self.loop_lag = Histogram(
            "httpserver_event_loop_lag_seconds",
            "How late the event loop wakes from a sleep.",
            ["loop"],
            buckets=LAG_BUCKETS,
            registry=shared,
        )
        self.shared = shared
        self._build_info(version)
        self._reload_metrics()

    def reloaded(self, result: str) -> None:
        """
        Count a reload of the settings.

        Args:
            result: `changed`, `unchanged` or `failed`.
        """
        self._reloads.labels(result).inc()
        self._reload_success.set(result != "failed")
        if result != "failed":
            self._reload_time.set_to_current_time()

    def render(self, accept: str, *, names: Iterable[str] = ()) -> tuple[bytes, str]:
        """
        Return the exposition of every metric and its content type.

        Args:
            accept: Value of the `Accept` header; OpenMetrics on request.
            names: Names of single time series to give alone.
        """
        encode, content_type = choose_encoder(accept)
        registry = self.registry
        if self._multiprocess_dir is not None:
            registry = CollectorRegistry()
            registry.register(_Merged(self.registry, self._multiprocess_dir))
        wanted = list(names)
        chosen = registry.restricted_registry(wanted) if wanted else registry
        body: bytes = encode(chosen)
        return body, content_type

    def _build_info(self, version: str) -> None:
        info = Gauge(
            "httpserver_build_info",
            "1, with what this process is made of.",
            ["version", "python"],
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )
        info.labels(version, platform.python_version()).set(1)

    def _reload_metrics(self) -> None:
        self._reload_success = Gauge(
            "httpserver_config_reload_success",
            "1 when the settings that are on disk are in use.",
            registry=self.registry,
            multiprocess_mode="min",
        )
        self._reload_success.set(1)
        self._reloads = Counter(
            "httpserver_config_reloads_total",
            "Reloads of the settings, by result.",
            ["result"],
            registry=self.registry,
        )
        self._reload_time = Gauge(
            "httpserver_config_last_reload_success_timestamp_seconds",
            "Time of the last reload that succeeded.",
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )
        self._reload_time.set_to_current_time()


class _Merged(Collector):
    """The parent's own families, and the workers' sums of all others."""

    def __init__(self, own: CollectorRegistry, directory: Path) -> None:
        self._own = own
        self._directory = directory

    @override
    def collect(self) -> Iterator[Metric]:
        seen = set()
        for family in self._own.collect():
            seen.add(family.name)
            yield family
        workers: Collector = MultiProcessCollector(None, path=str(self._directory))  # type: ignore[no-untyped-call]  # as above
        yield from (each for each in workers.collect() if each.name not in seen)


def mark_worker_dead(directory: Path, pid: int) -> None:
    """Forget the live gauges of a worker that is gone; its counts stay."""
    mark_process_dead(pid, str(directory))  # type: ignore[no-untyped-call]  # the library has no types here
