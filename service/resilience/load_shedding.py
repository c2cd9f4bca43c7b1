"""
Load shedding: what is more than can be done is refused at once, the least wanted first.

Two questions are asked of each request before it begins. Is there room under the
adaptive limit, of which a class of requests may use its share? And, under overload, has
the request itself waited so long that its client may be gone? The second one keeps the
queue short where the limit can't: work that never lets go of the event loop is never in
flight more than once.

Source: priority classes and the queueing time of the request itself as in DAGOR (2018);
shedding by waiting time under overload alone as in CoDel (RFC 8289) and its form for
servers (Maurer, "Fail at Scale", ACM Queue 13/8, 2015).
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from service.resilience.adaptive_limit import AdaptiveLimit

__all__ = ["LoadShedder", "Reason", "ShedClass"]

Reason = Literal["in_flight", "delay"]
"""Why something was shed: no room for it, or it had waited too long."""


class ShedClass(NamedTuple):
    """
    What a class of requests may have.

    Attributes:
        share: Share of the limit that it may fill, above 0 and at most 1.
        patience: Target delays after which one is shed under overload, >= 1.
    """

    share: float
    patience: float


class LoadShedder:
    """
    Lets in or sheds.

    Args:
        limit: Most that may be in flight.
        classes: What each class of requests may have, by name.

    Attributes:
        limit: The same.
        in_flight: How much is under way.

    Concurrency:
        For one thread, such as an event loop; the attributes may be read by any.
    """

    __slots__ = ("_classes", "in_flight", "limit")

    def __init__(
        self, limit: AdaptiveLimit, *, classes: Mapping[str, ShedClass]
    ) -> None:
        self.limit = limit
        self.in_flight = 0
        self._classes = dict(classes)

    def enter(self, kind: str, delay: float, now: float) -> Reason | None:
        """
        Let in what comes: call `leave` when it is done, unless it was shed.

        Args:
            kind: Name of its class.
            delay: Seconds it has waited.
            now: The time in seconds; it must not go backwards.

        Returns:
            None when it is in, else why not.
        """
        limit = self.limit
        in_flight = self.in_flight
        limit.observe(delay, in_flight=in_flight, now=now)
        share, patience = self._classes[kind]
        # the first is always let in: a share of a small limit may be less than one
        if in_flight and in_flight >= limit.value * share:
            return "in_flight"
        if limit.overloaded and delay > limit.target_delay * patience:
            return "delay"
        self.in_flight = in_flight + 1
        return None

    def leave(self) -> None:
        """Tell that something is done."""
        self.in_flight -= 1
