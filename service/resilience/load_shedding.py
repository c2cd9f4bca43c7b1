"""
Load shedding: what is more than can be done is refused at once, the least wanted first.

Two questions are asked of each request before it begins. Is there room under the
adaptive limit, of which a class of requests may use its share? And, under overload, has
the request itself waited so long that its client may be gone? The second one keeps the
queue short where the limit can't: work that never lets go of the event loop is never in
flight more than once.

    with shedder.guard("low"): ...         a block, a decorator, or `call`; or `Shed`
    shedder.enter(…), shedder.leave()       for who counts waiting times itself

Source: priority classes and the queueing time of the request itself as in DAGOR (2018);
shedding by waiting time under overload alone as in CoDel (RFC 8289) and its form for
servers (Maurer, "Fail at Scale", ACM Queue 13/8, 2015).
"""

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Literal, NamedTuple, Self

from typing_extensions import override

from service.resilience.adaptive_limit import AdaptiveLimit
from service.resilience.events import Event, Observe, ignore
from service.resilience.guarding import Guard

__all__ = ["LoadShedder", "Reason", "Shed", "ShedClass", "ShedGuard"]

Reason = Literal["in_flight", "delay"]
"""Why something was shed: no room for it, or it had waited too long."""


class Shed(Exception):
    """
    The call was not made: there is more to do than can be done.

    Attributes:
        reason: Why it was this one.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"shed: {reason}")
        self.reason: Reason = reason


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

    def guard(
        self,
        kind: str,
        *,
        waited: Callable[[], float] = lambda: 0.0,
        observe: Observe = ignore,
        clock: Callable[[], float] = time.monotonic,
    ) -> "ShedGuard":
        """
        Return the guard of calls of one class.

        Args:
            kind: Name of the class.
            waited: Gives the seconds that a call has waited until now.
            observe: Told of `shed`.
            clock: Gives the time in seconds; it must not go backwards.
        """
        return ShedGuard(self, kind, waited=waited, observe=observe, clock=clock)


class ShedGuard(Guard):
    """
    Calls of one class, let in or shed; `LoadShedder.guard` makes it.

    Raises:
        Shed: On entering, in place of the call.

    Concurrency:
        For the shedder's thread, any number of calls at once.
    """

    __slots__ = ("_clock", "_kind", "_observe", "_shedder", "_waited")

    def __init__(
        self,
        shedder: LoadShedder,
        kind: str,
        *,
        waited: Callable[[], float],
        observe: Observe,
        clock: Callable[[], float],
    ) -> None:
        self._shedder = shedder
        self._kind = kind
        self._waited = waited
        self._observe = observe
        self._clock = clock

    @override
    def guarded(self) -> Self:
        """Return the block around one call, which is the guard itself."""
        return self

    def __enter__(self) -> Self:
        reason = self._shedder.enter(self._kind, self._waited(), self._clock())
        if reason is not None:
            told = {"reason": reason}
            self._observe(Event("load_shedding", self._kind, "shed", told))
            raise Shed(reason)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._shedder.leave()
