"""The same call many times, and what came of all of them."""

import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from service.client.client import Client
from service.client.errors import UpstreamError
from service.concurrency.fan_out import fan_out
from service.concurrency.scope import task_scope
from service.getting.asking import Ask, asking, client_for
from service.top.words import duration_text, number_text

__all__ = ["Summary", "repeat"]

QUANTILES = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


@dataclass(slots=True)
class Summary:
    """
    What came of the calls.

    Attributes:
        concurrency: Most under way at once.
        seconds: How long all of them took.
        latencies: Seconds of those that were answered, to the end of the body.
        statuses: Answers by status.
        errors: Calls without an answer, by reason.
    """

    concurrency: int
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def calls(self) -> int:
        """All calls that have ended."""
        return self.statuses.total() + self.errors.total()

    def quantile(self, share: float) -> float:
        """Return the latency that so many of the answers did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]

    def text(self) -> str:
        """Return some lines for people."""
        rate = self.calls / self.seconds if self.seconds else 0.0
        took = f"{duration_text(self.seconds)}: {number_text(rate)} a second"
        lines = [f"{self.calls} calls, {self.concurrency} at a time, in {took}"]
        if self.latencies:
            shown = (
                f"{name} {duration_text(self.quantile(share))}"
                for name, share in QUANTILES.items()
            )
            lines.append("latency   " + "   ".join(shown))
        if self.statuses:
            lines.append("status    " + _counts(self.statuses))
        if self.errors:
            lines.append("errors    " + _counts(self.errors))
        return "\n".join(lines)


async def repeat(ask: Ask, *, times: int, concurrency: int, into: Summary) -> None:
    """
    Make the calls.

    Args:
        ask: What is asked for.
        times: How often.
        concurrency: Most calls under way at once.
        into: Takes what came of them, while they are made.

    Raises:
        InvalidRequest: The call can't be made.
    """
    client = client_for(ask, connections=concurrency)
    began = time.perf_counter()
    turns, workers = _turns(times), min(concurrency, times)
    try:
        async with fan_out(turns, workers) as shares, task_scope() as tasks:
            for share in shares:
                tasks.create_task(_worker(client, ask, share, into))
    finally:
        into.seconds = time.perf_counter() - began
        await client.close()


async def _turns(times: int) -> AsyncIterator[int]:
    for turn in range(times):
        yield turn


async def _worker(
    client: Client, ask: Ask, turns: AsyncIterator[int], into: Summary
) -> None:
    async for _ in turns:
        began = time.perf_counter()
        try:
            async with asking(client, ask) as answer:
                async for _chunk in answer.chunks():
                    pass
        except UpstreamError as error:
            into.errors[error.reason] += 1
        else:
            into.latencies.append(time.perf_counter() - began)
            into.statuses[answer.status] += 1


def _counts(counts: Counter[int] | Counter[str]) -> str:
    return "   ".join(f"{name}: {count}" for name, count in counts.most_common())
