"""
Many slow clients of six kinds at once: each is gone within its time-out, and nobody
else notices; neither the probes nor the memory.
"""

import asyncio
import contextlib
import json
import math
from dataclasses import dataclass, field

import httpx2
import pytest

from tests.support.attack import assert_unharmed, attacked
from tests.support.scrape import await_resident, await_value, resident_bytes
from tests.support.slow_clients import KINDS, attack

MIB = 1024 * 1024
GROWTH = 10 * MIB
"""What may stay of the memory when the attackers are gone."""

TIMEOUTS = {
    "server__header_timeout": 2,
    "server__body_timeout": 2,
    "server__write_timeout": 2,
    "server__idle_timeout": 5,
}

LATEST = 40.0
"""Seconds until the last is gone: time-outs of 2 s, and room for a busy machine."""

GIVEN_UP = LATEST + 20
"""Seconds after which a client ends by itself."""


@dataclass
class Bystander:
    """A normal client and a kubelet, at work while others attack."""

    requests: int = 0
    probes: int = 0
    failures: list[str] = field(default_factory=list)

    async def work(self, service) -> None:
        """Ask in turn, on kept-alive connections, without a retry, until cancelled."""
        async with httpx2.AsyncClient(timeout=60) as client:
            await asyncio.gather(
                *(self._ask(client, f"{service.url}/hello?n={n}") for n in range(4)),
                self._ask(client, f"{service.url}/readyz", probe=True),
                self._ask(client, f"{service.url}/livez", probe=True),
                self._ask(client, f"{service.admin_url}/readyz", probe=True),
                self._ask(client, f"{service.admin_url}/livez", probe=True),
            )

    async def _ask(self, client, url: str, *, probe: bool = False) -> None:
        while True:
            try:
                answer = await client.get(url)
                if answer.status_code != 200:
                    self.failures.append(f"{url} {answer.status_code}")
            except httpx2.HTTPError as error:
                self.failures.append(f"{url} {error!r}")
            self.probes += probe
            self.requests += not probe
            await asyncio.sleep(0.1 if probe else 0.02)


@contextlib.asynccontextmanager
async def bystander(service):
    """Let a bystander work until the block ends."""
    found = Bystander()
    working = asyncio.create_task(found.work(service))
    try:
        yield found
    finally:
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working


async def warm(service) -> None:
    """Let the service allocate what any load makes it keep."""
    async with httpx2.AsyncClient(timeout=60) as client:
        for _ in range(3):
            assert len((await client.get(f"{service.url}/large")).content) == 20 * MIB
            await asyncio.gather(
                *(client.get(f"{service.url}/hello") for _ in range(50))
            )


def assert_all_gone(lives: dict[str, list[float]]) -> None:
    """Each client of each kind was ended by the server, in time."""
    assert set(lives) == set(KINDS)
    latest = {kind: max(seconds, default=math.inf) for kind, seconds in lives.items()}
    assert max(latest.values()) < LATEST, latest


async def test_sixty_slow_clients_are_gone_in_time_and_nobody_else_notices():
    """The short form: one wave."""
    with attacked(**TIMEOUTS) as service:
        await warm(service)
        before = resident_bytes(service)
        async with bystander(service) as others:
            lives = await attack(service.ports["httpserver"], 60, limit=GIVEN_UP)
        assert_all_gone(lives)
        assert others.failures == []
        assert min(others.requests, others.probes) > 20
        await_value(service, "http_requests_in_flight", 0)
        await_resident(service, before + GROWTH)
        assert_unharmed(service)


@pytest.mark.soak
async def test_500_slow_clients_for_a_minute_leave_nothing_behind():
    """Waves of 500 for a minute; then everything is as it was."""
    with attacked(**TIMEOUTS) as service:
        await warm(service)
        before = resident_bytes(service)
        waves = 0
        end = asyncio.get_running_loop().time() + 60
        async with bystander(service) as others:
            while asyncio.get_running_loop().time() < end:
                lives = await attack(
                    service.ports["httpserver"], 500, limit=LATEST + 20
                )
                assert_all_gone(lives)
                waves += 1
        assert others.failures == []
        await_value(service, "http_requests_in_flight", 0)
        growth = await_resident(service, before + GROWTH) - before
        figures = {
            "waves": waves,
            "requests": others.requests,
            "probes": others.probes,
            "latest_seconds": {k: round(max(v), 1) for k, v in lives.items()},
            "growth_mib": round(growth / MIB, 1),
        }
        print(json.dumps(figures))  # noqa: T201 - the soak's figures
        assert_unharmed(service)
