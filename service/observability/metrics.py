"""
The metrics of one service, in a registry of its own: two services can share a process.

With worker processes each worker keeps its values in files of a shared directory, and
the parent, which serves `/metrics`, adds them up; what only the parent knows
(lifecycle, settings, its own interpreter) it reports itself.
"""

import platform
from collections.abc import Collection, Iterator
from functools import partial
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
from prometheus_client.metrics_core import Metric

from service.observability.connection_metrics import ConnectionMetrics
from service.observability.control_metrics import ControlMetrics
from service.observability.exposition import expose
from service.observability.flag_metrics import FlagMetrics
from service.observability.http_metrics import HttpMetrics
from service.observability.http_series import DURATION
from service.observability.log_metrics import LogMetrics
from service.observability.overload_metrics import OverloadMetrics
from service.observability.pattern_metrics import PatternMetrics
from service.observability.process_metrics import ProcessGroup
from service.observability.worker_values import (
    MULTIPROCESS_VARIABLE,
    bucket_counts,
    live_workers,
    mark_worker_dead,
    merged_families,
)
from service.settings import MetricsSettings

__all__ = ["MULTIPROCESS_VARIABLE", "LifecycleMetrics", "Metrics", "mark_worker_dead"]

LAG_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds; a good loop stays in the first two."""

RELOAD_RESULTS = ("changed", "unchanged", "failed")
"""What a reload may come to."""

PUSH_RESULTS = ("success", "failure")
"""What a push may come to."""


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
        for each in self.PHASES:
            self._phase.labels(each)
            self._transitions.labels(each)

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
        connections: Metrics of connections.
        lifecycle: The phase of the process.
        overload: What is refused to protect the service.
        log: Log lines that sampling left out.
        random_delay: The random delays of `/`, in seconds.
        loop_lag: How late the event loops wake, in seconds, by loop.
        logins: Logins, by result.
        flags: Evaluations of feature flags.
        patterns: What patterns of resilience tell of themselves.
        control: Faults on purpose, and who was kept from the control endpoints.
        registry: What this process reports itself.
        shared: What its requests and parts count: the registry again, or, with worker
            processes, what the parent takes from the shared files.

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
        self._multiprocess_dir = multiprocess_dir
        if multiprocess_dir is None:
            self.shared = self.registry
            ProcessCollector(registry=self.registry)
        else:
            self.shared = CollectorRegistry()
            workers = partial(live_workers, multiprocess_dir)
            self.registry.register(ProcessGroup(workers))
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        shared = self.shared
        self.http = HttpMetrics(
            shared,
            buckets=settings.buckets,
            publishes=multiprocess_dir is not None,
        )
        self.connections = ConnectionMetrics(shared)
        self.lifecycle = LifecycleMetrics(self.registry)
        self.overload = OverloadMetrics(shared)
        self.log = LogMetrics(shared)
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
        self._pushes = Counter(
            "httpserver_metrics_pushes_total",
            "Pushes of the metrics to a collector, by result.",
            ["result"],
            registry=self.registry,
        )
        for each in PUSH_RESULTS:
            self._pushes.labels(each)
        self.loop_lag = Histogram(
            "httpserver_event_loop_lag_seconds",
            "How late the event loop wakes from a sleep.",
            ["loop"],
            buckets=LAG_BUCKETS,
            registry=shared,
        )
        self.flags = FlagMetrics(shared)
        self.patterns = PatternMetrics(shared)
        self.control = ControlMetrics(registry=self.registry, shared=shared)
        self._build_info(version)
        self._reload_metrics()

    def pushed(self, result: str) -> None:
        """
        Count a push.

        Args:
            result: `success` or `failure`.
        """
        self._pushes.labels(result).inc()

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

    def latency_counts(self, route: str) -> dict[float, int]:
        """
        Return the requests of *route*, of all workers, by bucket of their latency.

        Args:
            route: Template of the route.

        Returns:
            Requests of each bucket alone, by its upper bound in seconds, ascending;
            the last is infinite.
        """
        counts: dict[str, float] = {**self.http.latency_counts(route)}
        if self._multiprocess_dir is not None:
            counts = dict.fromkeys(counts, 0) | bucket_counts(
                self._multiprocess_dir, DURATION[0], {"route": route}
            )
        return {float(le): int(count) for le, count in counts.items()}

    def publish(self) -> None:
        """
        Bring what is kept in memory to the files that workers share; the part that
        samples the event loop calls it. Without workers there is nothing to do.
        """
        self.http.publish()

    def render(self, accept: str, *, names: Collection[str] = ()) -> tuple[bytes, str]:
        """
        Return the exposition of every metric and its content type.

        Args:
            accept: Value of the `Accept` header; OpenMetrics on request.
            names: Names of families, or of single series, to give alone.
        """
        return expose(self.families, accept=accept, names=names)

    def families(self) -> Iterator[Metric]:
        """Yield the families of this process, and the workers' sums of all others."""
        own = set()
        for family in self.registry.collect():
            own.add(family.name)
            yield family
        if self._multiprocess_dir is not None:
            merged = merged_families(self._multiprocess_dir)
            yield from (each for each in merged if each.name not in own)

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
        for each in RELOAD_RESULTS:
            self._reloads.labels(each)
        self._reload_time = Gauge(
            "httpserver_config_last_reload_success_timestamp_seconds",
            "Time of the last reload that succeeded.",
            registry=self.registry,
            multiprocess_mode="mostrecent",
        )
        self._reload_time.set_to_current_time()
