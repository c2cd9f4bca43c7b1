"""
A load on GETs that tells, of each, when it began, how long it took, what came of it and
which instance answered: whether traffic leaves an instance, and how soon.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

__all__ = ["Sample", "Watched", "burst_end", "by_host", "watched"]

LIMIT = 20.0
"""Seconds a request may take; a time-out is a failure."""


@dataclass(frozen=True, slots=True)
class Sample:
    """
    One request.

    Attributes:
        began: When, in seconds of the monotonic clock.
        seconds: How long it took.
        outcome: Status, or kind of the error.
        told: What the answer says, as JSON; empty without one.
    """

    began: float
    seconds: float
    outcome: str
    told: dict[str, Any]

    @property
    def host(self) -> str:
        """Who answered."""
        return str(self.told.get("host", ""))

    @property
    def lost_calls(self) -> int:
        """Calls below it that nothing came of."""
        return sum("error" in each for each in self.told.get("children", ()))


class Watched:
    """The requests so far, in the order of their ends."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.running = True

    def since(self, began: float) -> list[Sample]:
        """Return those that began then or later."""
        return [each for each in self.samples if each.began >= began]

    @property
    def failed(self) -> dict[str, int]:
        """Those that did not end in a 200, by outcome."""
        kinds = Counter(each.outcome for each in self.samples)
        return {kind: count for kind, count in kinds.items() if kind != "200"}


def by_host(samples: Sequence[Sample]) -> Counter[str]:
    """Count requests by who answered."""
    return Counter(each.host for each in samples)


def burst_end(moments: Sequence[float], *, quiet: float) -> float | None:
    """
    Return the last of *moments* before the first pause of *quiet* seconds; None without
    any.
    """
    last: float | None = None
    for each in sorted(moments):
        if last is not None and each - last >= quiet:
            break
        last = each
    return last


@contextlib.asynccontextmanager
async def watched(
    url: str, *, clients: int, pause: float = 0.03
) -> AsyncIterator[Watched]:
    """
    Send GETs while the block runs, on kept connections and without retries.

    Args:
        pause: Seconds between an answer and the next request of its client.
    """
    load = Watched()

    async def one() -> None:
        async with httpx2.AsyncClient(timeout=LIMIT, trust_env=False) as client:
            while load.running:
                load.samples.append(await _sample(client, url))
                await asyncio.sleep(pause)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(one())
        try:
            yield load
        finally:
            load.running = False


async def _sample(client: httpx2.AsyncClient, url: str) -> Sample:
    began = time.monotonic()
    told: dict[str, Any] = {}
    try:
        answer = await client.get(url)
        outcome = str(answer.status_code)
        with contextlib.suppress(ValueError):
            told = answer.json()
    except httpx2.HTTPError as error:
        outcome = type(error).__name__
    return Sample(began, time.monotonic() - began, outcome, told)
