"""What is measured of the control endpoints, and of the faults that they begin."""

from prometheus_client import CollectorRegistry, Counter, Gauge

__all__ = ["ControlMetrics"]

FAULTS = ("delay", "status", "abort")
"""What a fault may do to a request."""

REFUSALS = ("missing", "wrong", "throttled")
"""Why a request to the control endpoints is turned away."""

RELOADS = ("made", "joined")
"""What becomes of a request to reload: a load of its own, or a part of one."""


class ControlMetrics:
    """
    Faults and refusals.

    Args:
        registry: For what the process of the admin port knows.
        shared: For what the processes that answer requests count together.

    Attributes:
        injected: Injections by kind.
        active: Faults in force.
        refusals: Refused control requests by reason.
        reloads: Requests to reload the settings by what became of them.

    Concurrency:
        Any thread.
    """

    def __init__(
        self, *, registry: CollectorRegistry, shared: CollectorRegistry
    ) -> None:
        self.injected = Counter(
            "httpserver_faults_injected_total",
            "Faults that requests have met, by kind.",
            ["kind"],
            registry=shared,
        )
        self.active = Gauge(
            "httpserver_faults_active",
            "Faults in force.",
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self.refusals = Counter(
            "httpserver_control_refusals_total",
            "Requests to the control endpoints that were refused, by reason.",
            ["reason"],
            registry=registry,
        )
        self.reloads = Counter(
            "httpserver_control_reload_requests_total",
            "Requests to reload the settings, by what became of them.",
            ["result"],
            registry=registry,
        )
        for result in RELOADS:
            self.reloads.labels(result)
        for kind in FAULTS:
            self.injected.labels(kind)
        for reason in REFUSALS:
            self.refusals.labels(reason)
