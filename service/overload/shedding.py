"""The filter that sheds load: 503 at once for what is more than the service can do."""

import time
from collections.abc import Callable

from service.errors import Unavailable, retry_after
from service.overload.heartbeat import Heartbeat
from service.overload.refusals import Refused
from service.resilience.adaptive_limit import AdaptiveLimit, Bounds
from service.resilience.load_shedding import LoadShedder, ShedClass
from service.server.application import Filter
from service.server.around import Around
from service.server.context import RequestContext
from service.settings import OverloadSettings

__all__ = ["CLASSES", "RECEIVED", "bounds_of", "shedder_of", "shedding"]

RECEIVED = "httpserver.received"
"""Key of the ASGI scope: when a request was there to be read, a
`time.perf_counter()` value."""

CLASSES = {
    "low": ShedClass(share=0.5, patience=1),
    "normal": ShedClass(share=0.9, patience=2),
    "high": ShedClass(share=1.0, patience=4),
}
"""What each priority of a route may have."""


def bounds_of(settings: OverloadSettings) -> Bounds:
    """Return between what the limit moves by *settings*."""
    return Bounds(
        least=settings.min_in_flight,
        most=settings.max_in_flight,
        target_delay=settings.target_delay,
        adaptive=settings.adaptive,
    )


def shedder_of(settings: OverloadSettings) -> LoadShedder:
    """Return a load shedder by *settings*."""
    return LoadShedder(AdaptiveLimit(bounds_of(settings)), classes=CLASSES)


def shedding(
    shedder: LoadShedder,
    *,
    heartbeat: Heartbeat,
    wait: Callable[[], float],
    refused: Refused,
    clock: Callable[[], float] = time.perf_counter,
) -> Filter:
    """
    Return the filter that answers 503 at once under overload; probes always pass.

    Args:
        shedder: Decides.
        heartbeat: Tells how long a request has waited where the listener does not.
        wait: Gives the seconds that a shed client is asked to wait.
        refused: Counts.
        clock: Gives the time, as the listener and the heartbeat have it.
    """

    def enter(ctx: RequestContext) -> None:
        if ctx.probe:
            return
        now = clock()
        received = ctx.scope.get(RECEIVED)
        delay = heartbeat.overdue(now) if received is None else now - received
        reason = shedder.enter(ctx.priority, delay, now)
        if reason is not None:
            refused(reason, ctx.priority)
            raise _overloaded(wait())

    def leave(ctx: RequestContext) -> None:
        if not ctx.probe:
            shedder.leave()

    return Around(enter, leave)


def _overloaded(seconds: float) -> Unavailable:
    return Unavailable(
        "The service has more to do than it can; come again later.",
        headers=retry_after(seconds),
    )
