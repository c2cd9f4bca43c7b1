"""
Active health: endpoints are asked whether they are well, be they called or not.

A registry around another one: what does not answer some checks in a row is not ready,
until it answers some in a row. One that was never checked is believed, because whoever
told of it said that it is ready. When all fail, none is ready: the caller is told so at
once, and nothing is sent where nobody listens.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from service.concurrency.cancelling import cancelled
from service.discovery.model import Endpoint, Registry, UnknownService

__all__ = ["CheckedRegistry", "HealthCheck", "Probe", "connects"]

Probe = Callable[[Endpoint], Awaitable[bool]]
"""Returns whether an endpoint is well; an error says that it is not."""

_AT_ONCE = 50
"""Checks of one service under way at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """
    How the endpoints of a service are checked.

    Attributes:
        probe: What is done.
        interval: Seconds between checks of one endpoint.
        timeout: Seconds that one may take.
        rise: Checks in a row that make it well, >= 1.
        fall: Checks in a row that make it ill, >= 1.
    """

    probe: Probe
    interval: float = 5.0
    timeout: float = 1.0
    rise: int = 2
    fall: int = 3


@dataclass(slots=True)
class _Health:
    well: bool = True
    against: int = 0
    """Checks in a row that say the opposite."""


class CheckedRegistry:
    """
    A registry whose endpoints are checked.

    Args:
        registry: Knows the endpoints; started and stopped with this one.
        checks: How, by service; others pass as they are.
        on_change: Told of each endpoint that falls or rises, and whether it is well.

    Concurrency:
        Checks run on one event loop; `endpoints` on any thread.
    """

    def __init__(
        self,
        registry: Registry,
        checks: Mapping[str, HealthCheck],
        *,
        on_change: Callable[[str, Endpoint, bool], None] = lambda *_told: None,
    ) -> None:
        self.name = registry.name
        self._registry = registry
        self._checks = {name: _Checking(name, on_change) for name in checks}
        self._rules = dict(checks)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to watch and to check."""
        await self._registry.start()
        self._tasks = [
            asyncio.create_task(self._follow(name, rule))
            for name, rule in self._rules.items()
        ]

    async def stop(self) -> None:
        """End both."""
        await cancelled(self._tasks)
        self._tasks = []
        await self._registry.stop()

    async def check(self) -> None:
        """As the registry within."""
        await self._registry.check()

    def endpoints(self, service: str) -> tuple[Endpoint, ...]:
        """
        Return the endpoints of *service*, those that are ill as not ready.

        Raises:
            UnknownService: As the registry within.
        """
        found = self._registry.endpoints(service)
        checking = self._checks.get(service)
        return found if checking is None else checking.applied(found)

    async def _follow(self, service: str, rule: HealthCheck) -> None:
        while True:
            began = asyncio.get_running_loop().time()
            await self._checks[service].round(self._known(service), rule)
            spent = asyncio.get_running_loop().time() - began
            # many that start together must not all ask at the same moment for ever
            pause = rule.interval * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load
            await asyncio.sleep(max(pause - spent, 0.0))

    def _known(self, service: str) -> tuple[Endpoint, ...]:
        try:
            return self._registry.endpoints(service)
        except UnknownService:  # it may come later
            return ()


class _Checking:
    """What is known of the health of one service."""

    def __init__(
        self, service: str, on_change: Callable[[str, Endpoint, bool], None]
    ) -> None:
        self._service = service
        self._on_change = on_change
        self._health: dict[Endpoint, _Health] = {}
        self._ill: frozenset[Endpoint] = frozenset()
        self._given: tuple[object, object, tuple[Endpoint, ...]] = (None, None, ())

    def applied(self, found: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
        """Return *found* with those that are ill: the same until something changes."""
        source, ill, given = self._given
        if source is not found or ill is not self._ill:
            ill = self._ill
            given = tuple(
                replace(each, ready=False, serving=False) if each in ill else each
                for each in found
            )
            self._given = (found, ill, given)
        return given

    async def round(self, endpoints: tuple[Endpoint, ...], rule: HealthCheck) -> None:
        """Check each endpoint once, and forget those that went."""
        gate = asyncio.Semaphore(_AT_ONCE)
        self._health = {each: self._health.get(each, _Health()) for each in endpoints}
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self._once(e, rule, gate)) for e in endpoints]
        ill = frozenset(e for e, health in self._health.items() if not health.well)
        if ill != self._ill:
            self._ill = ill
        for endpoint, task in zip(endpoints, asked, strict=True):
            if task.result():
                self._on_change(self._service, endpoint, endpoint not in ill)

    async def _once(
        self, endpoint: Endpoint, rule: HealthCheck, gate: asyncio.Semaphore
    ) -> bool:
        """Check one, and return whether it fell or rose."""
        async with gate:
            well = await _is_well(endpoint, rule)
        health = self._health[endpoint]
        if well == health.well:
            health.against = 0
            return False
        health.against += 1
        if health.against < (rule.rise if well else rule.fall):
            return False
        health.well, health.against = well, 0
        return True


async def _is_well(endpoint: Endpoint, rule: HealthCheck) -> bool:
    try:
        async with asyncio.timeout(rule.timeout):
            return await rule.probe(endpoint)
    except Exception:  # noqa: BLE001 - whatever it was, it does not answer
        return False


async def connects(endpoint: Endpoint) -> bool:
    """Return that the endpoint takes a TCP connection."""
    _, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    writer.close()
    return True
