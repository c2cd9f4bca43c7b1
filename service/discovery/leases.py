"""
Services whose instances register themselves, for use outside Kubernetes: each leases
its place in a store for some seconds and renews the lease while it runs.

An instance that stops gives its lease back; one that dies is gone when it ends. A
store that comes back may have lost its memory: until each instance had the time to
renew, those known from before are believed too.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from redis.exceptions import RedisError

from service.concurrency.cancelling import cancelled
from service.discovery.asking import Answer, Asking, told
from service.discovery.known import Known, KnownServices, SourceObserver, unobserved
from service.discovery.lease_store import LeaseStore
from service.discovery.model import Endpoint
from service.resilience.backoff import Backoff

__all__ = ["Announcement", "Announcer", "LeaseRegistry"]

_FAILURES = (RedisError, OSError, TimeoutError)

_LOOK = 0.2
"""Seconds between looks whether the instance still wants calls."""


class LeaseRegistry(KnownServices):
    """
    Knows services by the leases of their instances.

    Args:
        services: Name in the store by name here.
        store: Where the leases are; closed with the part.
        ttl: Seconds that leases last.
        interval: Seconds between looks.
        observer: Is told what changes.
        clock: Gives the time in seconds; it must not go backwards.

    Concurrency:
        For one event loop; `endpoints` on any thread.
    """

    name = "discovery leases"

    def __init__(
        self,
        services: Mapping[str, str],
        *,
        store: LeaseStore,
        ttl: float,
        interval: float = 1.0,
        observer: SourceObserver = unobserved,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services = dict(services)
        self._store = store
        self._ttl = ttl
        self._interval = interval
        self._clock = clock
        self._away: set[str] = set()
        self._doubtful_until: dict[str, float] = {}
        super().__init__(Known(self._services, observer=observer))
        waits = Backoff(first=interval, most=max(5.0, interval), jitter="decorrelated")
        self._asking = Asking(self.known, self._services, ask=self._ask, backoff=waits)

    async def start(self) -> None:
        """Look from now on."""
        await self._asking.start()

    async def stop(self) -> None:
        """Look no more."""
        await self._asking.stop()
        await self._store.close()

    async def _ask(self, service: str) -> Answer:
        try:
            found = await self._store.read(self._services[service])
        except _FAILURES:
            self._away.add(service)
            raise
        if service in self._away:
            self._away.discard(service)
            self._doubtful_until[service] = self._clock() + self._ttl
        if self._clock() < self._doubtful_until.get(service, 0.0):
            found += self.known.endpoints(service)
        return Answer(found, self._interval)


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """
    What an instance says of itself.

    Attributes:
        service: What it is one of.
        instance: Where it is.
        ttl: Seconds after which it is forgotten when it is not heard of again; it is
            told anew after a third of them, so that two attempts may fail.
    """

    service: str
    instance: Endpoint
    ttl: float = 15.0


class Announcer:
    """
    Keeps the lease of this instance while it wants calls.

    Args:
        announcement: What is leased.
        store: Where; closed with the part.
        wanted: Whether calls are wanted now: not before the service is ready, and no
            longer when it drains.
        observer: Is told when the store is away, and back.

    Concurrency:
        For one event loop.
    """

    name = "discovery announcement"

    def __init__(
        self,
        announcement: Announcement,
        *,
        store: LeaseStore,
        wanted: Callable[[], bool],
        observer: SourceObserver = unobserved,
    ) -> None:
        self._what = announcement
        self._store = store
        self._wanted = wanted
        self._observer = observer
        self._failing = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Announce the instance from when it wants calls."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Give the lease back."""
        if self._task is not None:
            await cancelled([self._task])
            self._task = None
        await self._withdraw()
        await self._store.close()

    async def _run(self) -> None:
        pause = self._what.ttl / 3
        due, leased = 0.0, False
        while True:
            now = time.monotonic()
            if not self._wanted():
                leased = leased and not await self._withdraw()
                due = 0.0
            elif now >= due:
                # after a failure soon again: the lease may end meanwhile
                done = await self._renew()
                leased = leased or done
                due = now + (pause if done else min(pause, 1.0))
            await asyncio.sleep(min(_LOOK, pause))

    async def _renew(self) -> bool:
        what = self._what
        return await self._try(self._store.renew(what.service, what.instance, what.ttl))

    async def _withdraw(self) -> bool:
        return await self._try(
            self._store.withdraw(self._what.service, self._what.instance)
        )

    async def _try(self, call: Awaitable[None]) -> bool:
        """Return whether a call of the store succeeded, and tell when that changes."""
        service = self._what.service
        try:
            await call
        except _FAILURES as error:
            first, self._failing = not self._failing, True
            self._observer.failed(service, told(error), first=first)
            return False
        if self._failing:
            self._failing = False
            self._observer.returned(service)
        return True
