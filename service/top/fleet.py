"""
The replicas that are watched: asked at the same time, each with its last scrape.

A replica that does not answer is left out of the sums and named; when it comes back,
what it did meanwhile is not squeezed into one interval: it is compared with its next
scrape.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.concurrency.future import Future
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
        One event loop; the sources are asked in threads of their own, which end with
        the process.
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

    async def look(self) -> Look:
        """Ask all replicas once; those that do not answer take their time-out."""
        end = asyncio.get_running_loop().time() + self._timeout
        asked = [(each, each.ask()) for each in self._watched]
        changes: list[Change] = []
        problems: dict[str, str] = {}
        wrong: set[str] = set()
        measured = False
        for each, coming in asked:
            before, answer = await each.answer(coming, end)
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
    """One replica, its last scrape, and the next that is to come."""

    def __init__(self, source: Source) -> None:
        self.url = source.url
        self._source = source
        self._last: Scrape | None = None
        self._coming: Future[Scrape] | None = None

    def ask(self) -> Future[Scrape]:
        """Begin to ask, unless the last question still waits for its answer."""
        if self._coming is None:
            self._coming = Future.in_thread(self._source.scrape, name=self.url)
        return self._coming

    async def answer(
        self, coming: Future[Scrape], end: float
    ) -> tuple[Scrape | None, Answer]:
        """
        Wait until *end* and return the scrape before this one, and what was answered.

        Args:
            coming: What `ask` returned.
            end: In seconds of the event loop's clock.
        """
        before, self._last = self._last, None
        try:
            async with asyncio.timeout_at(end):
                self._last = await coming
        except TimeoutError:
            return before, Unreachable("no answer in time")
        except (Unreachable, NotMetrics) as error:
            answer: Answer = error
        else:
            answer = self._last
        self._coming = None
        return before, answer
