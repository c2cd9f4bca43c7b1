"""
The replicas that are watched: asked at the same time, each with its last scrape.

A replica that does not answer is left out of the sums and named; when it comes back,
what it did meanwhile is not squeezed into one interval: it is compared with its next
scrape.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.top.deltas import Change, change_between
from service.top.overview import Overview, overview
from service.top.scrape import NotMetrics, Scrape, Unreachable

__all__ = ["Fleet", "Look", "Source"]


Answer = Scrape | Unreachable | NotMetrics
"""What came of asking one replica."""


class Source(Protocol):
    """Whoever can be asked for metrics."""

    url: str

    def scrape(self) -> Scrape:
        """
        Return what it tells now.

        Raises:
            Unreachable: It does not answer.
            NotMetrics: It answers something else.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """
    One look at all replicas.

    Attributes:
        overview: Those that answered, together.
        replicas: How many are watched.
        answered: How many of them answered.
        problems: What is wrong with the others, by URL.
        wrong: Those among them that are no metrics.
        measured: Whether at least one answered twice in a row, so that there are rates.
    """

    overview: Overview
    replicas: int
    answered: int
    problems: dict[str, str]
    wrong: frozenset[str]
    measured: bool


class Fleet:
    """
    Watches replicas.

    Args:
        sources: Each one.
        timeout: Seconds that a whole scrape may take.
        clock: Seconds since the epoch.

    Concurrency:
        One thread; the sources are asked in threads of their own, which end with the
        process.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        timeout: float = 10.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._watched = [_Watched(source) for source in sources]
        self._timeout = timeout
        self._clock = clock

    def look(self) -> Look:
        """Ask all replicas once; those that do not answer take their time-out."""
        end = time.monotonic() + self._timeout
        for each in self._watched:
            each.ask()
        changes: list[Change] = []
        problems: dict[str, str] = {}
        wrong: set[str] = set()
        measured = False
        for each in self._watched:
            before, answer = each.answer(end)
            if isinstance(answer, Scrape):
                changes.append(change_between(before, answer))
                measured = measured or before is not None
                continue
            problems[each.url] = str(answer)
            if isinstance(answer, NotMetrics):
                wrong.add(each.url)
        return Look(
            overview=overview(changes, clock=self._clock()),
            replicas=len(self._watched),
            answered=len(changes),
            problems=problems,
            wrong=frozenset(wrong),
            measured=measured,
        )


class _Watched:
    """One replica, its last scrape, and the thread that asks for the next."""

    def __init__(self, source: Source) -> None:
        self.url = source.url
        self._source = source
        self._last: Scrape | None = None
        self._answer: Answer | None = None
        self._thread: threading.Thread | None = None

    def ask(self) -> None:
        """Begin to ask, unless the last question still waits for its answer."""
        if self._thread is None:
            self._answer = None
            self._thread = threading.Thread(target=self._ask, daemon=True)
            self._thread.start()

    def answer(self, end: float) -> tuple[Scrape | None, Answer]:
        """
        Wait until *end* and return the scrape before this one, and what was answered.

        Args:
            end: In seconds of the monotonic clock.
        """
        before, self._last = self._last, None
        if self._thread is not None:
            self._thread.join(max(0.0, end - time.monotonic()))
            if self._thread.is_alive():
                return before, Unreachable("no answer in time")
            self._thread = None
        answer = self._answer or Unreachable("no answer")
        if isinstance(answer, Scrape):
            self._last = answer
        return before, answer

    def _ask(self) -> None:
        try:
            self._answer = self._source.scrape()
        except (Unreachable, NotMetrics) as error:
            self._answer = error
