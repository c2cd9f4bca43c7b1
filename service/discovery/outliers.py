"""
Passive health: an endpoint that keeps failing is left out for a while.

Endpoints are judged by the calls that are made anyway. Some failures in a row eject
one, for longer each time; then it is tried again by what comes. Never more than a share
of them is out at once: when most fail, the failure is not theirs, and the few that are
left must not get everything.

Source: Envoy, "Outlier detection" (consecutive failures, ejection time, share).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.discovery.model import Endpoint

__all__ = ["OutlierLimits", "Outliers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlierLimits:
    """
    When an endpoint is left out.

    Attributes:
        failures: In a row, >= 1.
        eject_for: Seconds at first, > 0; each time in a row as long again.
        eject_for_most: Longest time in seconds.
        share: Share of the endpoints that may be out at once, 0 to 1; one always may,
            unless it is the only one.
    """

    failures: int = 3
    eject_for: float = 1.0
    eject_for_most: float = 30.0
    share: float = 0.5


@dataclass(slots=True)
class _Record:
    failures: int = 0
    ejections: int = 0
    until: float = 0.0


class Outliers:
    """
    Remembers who failed.

    Args:
        limits: When somebody is left out.
        clock: Gives the time in seconds; it must not go backwards.
        on_eject: Told of each ejection and its seconds.

    Concurrency:
        For one thread, such as an event loop.
    """

    def __init__(
        self,
        limits: OutlierLimits | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_eject: Callable[[Endpoint, float], None] = lambda _endpoint, _seconds: None,
    ) -> None:
        self._limits = limits or OutlierLimits()
        self._clock = clock
        self._on_eject = on_eject
        self._records: dict[Endpoint, _Record] = {}

    def succeeded(self, endpoint: Endpoint) -> None:
        """Take a success: whatever was, is forgotten."""
        self._records.pop(endpoint, None)

    def failed(self, endpoint: Endpoint) -> None:
        """Take a failure."""
        record = self._records.setdefault(endpoint, _Record())
        record.failures += 1
        now = self._clock()
        if record.failures < self._limits.failures or now < record.until:
            return
        record.ejections += 1
        seconds = min(
            self._limits.eject_for * record.ejections, self._limits.eject_for_most
        )
        record.until = now + seconds
        # one more failure after its return is enough
        record.failures = self._limits.failures - 1
        self._on_eject(endpoint, seconds)

    def accepted(self, endpoints: Sequence[Endpoint]) -> list[Endpoint]:
        """
        Return *endpoints* without those that are left out; and forget all others.

        Those whose time is over first stay in, when more are ill than may be out.
        """
        known = set(endpoints)
        for gone in self._records.keys() - known:
            del self._records[gone]
        now = self._clock()
        out = sorted(
            (record.until, endpoints.index(endpoint))
            for endpoint, record in self._records.items()
            if record.until > now
        )
        if not out:
            return list(endpoints)
        room = max(int(len(endpoints) * self._limits.share), 1)
        most = min(room, len(endpoints) - 1)
        left_out = {endpoints[at] for _, at in out[len(out) - min(most, len(out)) :]}
        return [each for each in endpoints if each not in left_out]
