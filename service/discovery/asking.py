"""
Tasks that ask a source about each service again and again, as DNS and leases do.

Between two answers lies what the answer says; after a failure the waits grow, and
chance spreads them, so that a source that comes back is not met by everybody at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from service.concurrency.cancelling import cancelled
from service.discovery.known import Known
from service.discovery.model import Endpoint
from service.resilience.backoff import Backoff

__all__ = ["Answer", "Asking", "told"]


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What a source says of a service.

    Attributes:
        endpoints: Where it is; empty when it is nowhere.
        good_for: Seconds until it should be asked again.
    """

    endpoints: tuple[Endpoint, ...]
    good_for: float


class Asking:
    """
    Keeps what is known of some services up to date.

    Args:
        known: Where answers go.
        services: Which.
        ask: Returns what the source says of one, or raises why it can't be heard.
        backoff: Waits after failures.
        first_within: Seconds that `start` waits for the first answers, at most.

    Concurrency:
        For one event loop.
    """

    def __init__(
        self,
        known: Known,
        services: Iterable[str],
        *,
        ask: Callable[[str], Awaitable[Answer]],
        backoff: Backoff,
        first_within: float = 1.0,
    ) -> None:
        self._known = known
        self._services = tuple(services)
        self._ask = ask
        self._backoff = backoff
        self._first_within = first_within
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Ask from now on; returns with the first answers, or soon without them."""
        heard = [asyncio.Event() for _ in self._services]
        self._tasks = [
            asyncio.create_task(self._follow(service, event))
            for service, event in zip(self._services, heard, strict=True)
        ]
        first = [asyncio.create_task(each.wait()) for each in heard]
        if first:
            await asyncio.wait(first, timeout=self._first_within)
        for each in first:
            each.cancel()

    async def stop(self) -> None:
        """Ask no more."""
        await cancelled(self._tasks)
        self._tasks = []

    async def _follow(self, service: str, heard: asyncio.Event) -> None:
        waits = self._backoff.waits()
        while True:
            try:
                answer = await self._ask(service)
            except Exception as error:  # noqa: BLE001 - whatever it is, ask again
                self._known.fail(service, told(error))
                wait = next(waits)
            else:
                self._known.tell(service, answer.endpoints)
                waits, wait = self._backoff.waits(), answer.good_for
            heard.set()
            await asyncio.sleep(wait)


def told(error: BaseException) -> str:
    """Return what an error says of itself, in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
