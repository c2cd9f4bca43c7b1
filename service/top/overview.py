"""
The few numbers that tell how a service is, made of what its replicas changed.

What is not told stays None, so that a service with fewer metrics, or another version,
is shown as far as it goes.
"""

import contextlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from service.observability.quantiles import histogram_quantile
from service.top.deltas import Change

__all__ = ["Order", "Overview", "RouteRow", "overview", "sorted_routes"]

DURATION = "http_request_duration_seconds"
REFUSALS = "httpserver_overload_refusals_total"


class Order(StrEnum):
    """What routes are sorted by, most first."""

    RATE = "rate"
    P99 = "p99"
    ERRORS = "errors"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRow:
    """
    One route.

    Attributes:
        route: Its template.
        rate: Requests per second.
        p50: Seconds that half of them took at most; None without requests.
        p90: As p50, for 90 of 100.
        p99: As p50, for 99 of 100.
        errors: Share that was answered 5xx, 0 to 1; None without requests.
        bytes_rate: Bytes of answers' bodies per second.
    """

    route: str
    rate: float
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    errors: float | None = None
    bytes_rate: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """
    A service, all replicas that answered together.

    Attributes:
        versions: Versions that run, each once.
        phases: Phases they are in, and how many are.
        uptime: Seconds since the youngest started.
        rate: Requests per second.
        in_flight: Requests that are being answered.
        in_flight_limit: Most of them that are let in.
        errors: Share that was answered 5xx, 0 to 1; None without requests.
        statuses: Requests per second by status.
        refusals: Requests per second that overload protection refused, by reason,
            those of the throttle left out.
        throttled: Requests per second that the throttle refused.
        loop_lag_p99: Seconds that the main loops were late, 99 of 100 times at most.
        cpu: Processor time per second, of all: 1 is a core.
        resident_bytes: Memory in use.
        open_files: Open files and sockets.
        connections: Open connections of the main server.
        routes: A row for each route that was asked since it started.
    """

    versions: list[str] = field(default_factory=list)
    phases: dict[str, int] = field(default_factory=dict)
    uptime: float | None = None
    rate: float = 0.0
    in_flight: float | None = None
    in_flight_limit: float | None = None
    errors: float | None = None
    statuses: dict[str, float] = field(default_factory=dict)
    refusals: dict[str, float] = field(default_factory=dict)
    throttled: float = 0.0
    loop_lag_p99: float | None = None
    cpu: float | None = None
    resident_bytes: float | None = None
    open_files: float | None = None
    connections: float | None = None
    routes: list[RouteRow] = field(default_factory=list)


def overview(changes: Sequence[Change], *, clock: float) -> Overview:
    """
    Return what *changes* come to.

    Args:
        changes: What each replica changed.
        clock: Seconds since the epoch, to reckon the uptime.
    """
    statuses = _rates(changes, "http_requests_total", "status")
    refusals = _rates(changes, REFUSALS, "reason")
    started = _values(changes, "process_start_time_seconds")
    rate = sum(statuses.values())
    return Overview(
        versions=sorted({*_labels(changes, "httpserver_build_info", "version")}),
        phases=dict(Counter(_labels(changes, "httpserver_lifecycle_phase", "phase"))),
        uptime=max(0.0, clock - max(started)) if started else None,
        rate=rate,
        in_flight=_sum(changes, "http_requests_in_flight"),
        in_flight_limit=_sum(changes, "httpserver_in_flight_limit"),
        errors=_share_of_errors(statuses),
        statuses=dict(sorted(statuses.items())),
        throttled=refusals.pop("throttle", 0.0),
        refusals=dict(sorted(refusals.items())),
        loop_lag_p99=_quantile(_lag(changes), 0.99),
        cpu=_total(changes, "process_cpu_seconds_total"),
        resident_bytes=_sum(changes, "process_resident_memory_bytes"),
        open_files=_sum(changes, "process_open_fds"),
        connections=_sum(changes, "httpserver_connections", server="main"),
        routes=sorted_routes(_routes(changes), Order.RATE),
    )


def sorted_routes(rows: Sequence[RouteRow], order: Order) -> list[RouteRow]:
    """Return *rows* by *order*, most first; ties by rate, then by name."""

    def key(row: RouteRow) -> tuple[float, float, str]:
        match order:
            case Order.RATE:
                first = row.rate
            case Order.P99:
                first = row.p99 or 0.0
            case Order.ERRORS:
                first = (row.errors or 0.0) * row.rate
        return (-first, -row.rate, row.route)

    return sorted(rows, key=key)


# -- adding up ---------------------------------------------------------------


def _rates(changes: Iterable[Change], name: str, label: str) -> dict[str, float]:
    """Return the rise per second of *name* by the value of *label*."""
    found: dict[str, float] = defaultdict(float)
    for change in changes:
        for labels, rate in change.rates(name):
            found[labels.get(label, "")] += rate
    return dict(found)


def _total(changes: Iterable[Change], name: str) -> float | None:
    rates = [rate for change in changes for _, rate in change.rates(name)]
    return sum(rates) if rates else None


def _values(changes: Iterable[Change], name: str, **labels: str) -> list[float]:
    return [
        value
        for change in changes
        for found, value in change.now.get(name, ())
        if labels.items() <= found.items() and math.isfinite(value)
    ]


def _sum(changes: Iterable[Change], name: str, **labels: str) -> float | None:
    values = _values(changes, name, **labels)
    return sum(values) if values else None


def _labels(changes: Iterable[Change], name: str, label: str) -> list[str]:
    """Return the values of *label* whose series are 1: of each replica each once."""
    return [
        found.get(label, "")
        for change in changes
        for found, value in change.now.get(name, ())
        if value == 1
    ]


def _buckets(
    changes: Iterable[Change], name: str, key: Callable[[Mapping[str, str]], str]
) -> dict[str, dict[float, float]]:
    """Return the buckets of histogram *name*, added up by *key* of their labels."""
    found: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for change in changes:
        for labels, rate in change.rates(f"{name}_bucket"):
            with contextlib.suppress(KeyError, ValueError):  # a bucket without bound
                found[key(labels)][float(labels["le"])] += rate
    return found


def _lag(changes: Iterable[Change]) -> Mapping[float, float]:
    name = "httpserver_event_loop_lag_seconds"
    return _buckets(changes, name, lambda labels: labels.get("loop", "")).get(
        "main", {}
    )


def _quantile(buckets: Mapping[float, float], share: float) -> float | None:
    value = histogram_quantile(share, buckets)
    return value if math.isfinite(value) else None


def _share_of_errors(statuses: Mapping[str, float]) -> float | None:
    total = sum(statuses.values())
    failed = sum(rate for status, rate in statuses.items() if status.startswith("5"))
    return failed / total if total else None


# -- routes ------------------------------------------------------------------


def _routes(changes: Sequence[Change]) -> list[RouteRow]:
    by_route: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for change in changes:
        for labels, rate in change.rates("http_requests_total"):
            by_route[labels.get("route", "")][labels.get("status", "")] += rate
    buckets = _buckets(changes, DURATION, lambda labels: labels.get("route", ""))
    sizes = _rates(changes, "http_response_size_bytes_sum", "route")
    return [
        RouteRow(
            route=route,
            rate=sum(statuses.values()),
            p50=_quantile(buckets.get(route, {}), 0.5),
            p90=_quantile(buckets.get(route, {}), 0.9),
            p99=_quantile(buckets.get(route, {}), 0.99),
            errors=_share_of_errors(statuses),
            bytes_rate=sizes.get(route, 0.0),
        )
        for route, statuses in by_route.items()
    ]
