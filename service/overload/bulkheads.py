"""The filter that keeps each part of the service to its own room."""

from collections.abc import Callable, Iterable, Mapping

from service.errors import Unavailable, retry_after
from service.observability.logging import get_logger
from service.overload.refusals import Refused
from service.resilience.bulkhead import Bulkhead
from service.server.application import Filter
from service.server.around import Around
from service.server.context import RequestContext

__all__ = ["Bulkheads", "partition"]


class Bulkheads:
    """
    The bulkheads of the settings, by part.

    Args:
        known: Names of the parts there are.

    Attributes:
        by_part: The bulkhead of each part that has one.

    Concurrency:
        `limit` on any thread; what is in flight is counted on the event loop.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._known = sorted(known)
        self.by_part: dict[str, Bulkhead] = {}

    def limit(self, limits: Mapping[str, int]) -> None:
        """Take *limits* by part; what is in flight stays and counts."""
        by_part = {}
        for part, most in limits.items():
            bulkhead = by_part[part] = self.by_part.get(part) or Bulkhead(most)
            bulkhead.limit = most
        self.by_part = by_part

    def warn_of_unknown(self) -> None:
        """Log the names that are no part, and those that are."""
        unknown = sorted(self.by_part.keys() - set(self._known))
        if unknown:
            log = get_logger("httpserver.overload")
            log.warning("bulkheads_unknown", parts=unknown, known=self._known)


def partition(
    bulkheads: Bulkheads, *, wait: Callable[[], float], refused: Refused
) -> Filter:
    """
    Return the filter that answers 503 for a part that is full; probes always pass.

    Args:
        bulkheads: How much room each part has.
        wait: Gives the seconds that a refused client is asked to wait.
        refused: Counts.
    """

    def enter(ctx: RequestContext) -> None:
        bulkhead = bulkheads.by_part.get(ctx.part)
        if bulkhead is None or ctx.probe:
            return
        if not bulkhead.try_enter():
            refused("bulkhead", ctx.priority)
            raise _full(wait())
        ctx.bulkhead = bulkhead

    def leave(ctx: RequestContext) -> None:
        if ctx.bulkhead is not None:
            ctx.bulkhead.leave()

    return Around(enter, leave)


def _full(seconds: float) -> Unavailable:
    return Unavailable(
        "This part of the service has more to do than it may; come again later.",
        headers=retry_after(seconds),
    )
