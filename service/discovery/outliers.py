"""
Passive health: an endpoint that keeps failing is left out for a while.

Endpoints are judged by the calls that are made anyway. Some failures in a row eject
one, for longer each time; then it is tried again by what comes, and what it did is
forgotten when it has been in for as long as it was out. Never more than a share of them
is out at once: when most fail, the failure is not theirs, and the few that are left
must not get everything.

Source: Envoy, "Outlier detection" (consecutive failures, ejection time, share).
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from service.discovery.model import Endpoint

__all__ = ["OutlierLimits", "Outliers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlierLimits:
    """
    When an endpoint is left out.

    Attributes:
        failures: In a row, >= 1; 0 leaves out nobody.
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
    seconds: float = 0.0
    until: float = float("-inf")


class Outliers:
    """
    Remembers who of one service failed.

    Args:
        limits: When somebody is left out.
        clock: Gives the time in seconds; it must not go backwards.
        on_eject: Told of each ejection and its seconds.

    Concurrency:
        For one thread, such as an event loop; `out_for` on any.
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
        """Take a success; one of a call from before the ejection ends nothing."""
        record = self._records.get(endpoint)
        if record is None:
            return
        now = self._clock()
        if now >= record.until:
            record.failures = 0
        if now >= record.until + record.seconds:
            del self._records[endpoint]

    def failed(self, endpoint: Endpoint) -> None:
        """Take a failure."""
        if not self._limits.failures:
            return
        record = self._records.setdefault(endpoint, _Record())
        now = self._clock()
        if now < record.until:  # a call from before the ejection
            return
        record.failures += 1
        if record.failures >= self._limits.failures:
            self._eject(endpoint, record, now)

    def accepted(self, endpoints: Sequence[Endpoint]) -> list[Endpoint]:
        """
        Return *endpoints* without those that are left out, in their order; not empty
        unless they are.

        Those whose time is over first stay in, when more are ill than may be out.
        """
        if not self._records:
            return list(endpoints)
        out = [each for each in endpoints if self.out_for(each) > 0]
        out.sort(key=self.out_for, reverse=True)
        room = max(int(len(endpoints) * self._limits.share), 1)
        left_out = set(out[: min(room, len(endpoints) - 1)])
        return [each for each in endpoints if each not in left_out]

    def out_for(self, endpoint: Endpoint) -> float:
        """Return for how many more seconds it is left out; 0 when it is not."""
        record = self._records.get(endpoint)
        return 0.0 if record is None else max(record.until - self._clock(), 0.0)

    def keep(self, endpoints: Collection[Endpoint]) -> None:
        """Forget all others."""
        for gone in self._records.keys() - set(endpoints):
            del self._records[gone]

    def _eject(self, endpoint: Endpoint, record: _Record, now: float) -> None:
        record.ejections += 1
        limits = self._limits
        record.seconds = min(limits.eject_for * record.ejections, limits.eject_for_most)
        record.until = now + record.seconds
        # one more failure after its return is enough
        record.failures = limits.failures - 1
        self._on_eject(endpoint, record.seconds)
