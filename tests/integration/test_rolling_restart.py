"""
Rolling restarts behind a balancer of layer 4, under keep-alive clients without retries.

The model of a Deployment and its Service: two replicas, surge 1, new connections go to
a random listed endpoint, open ones stay where they are, and an endpoint is listed for
one more second after its process got the signal.
"""

import asyncio
import contextlib
import signal
import time

import pytest

from tests.support.balancer import Balancer, balancing
from tests.support.keep_alive import KeepAliveLoad, keep_alive_load
from tests.support.process import ServiceProcess, serving

REPLICAS = 2
PROPAGATION = 1.0
"""Seconds until the balancer hears that an endpoint is leaving."""


class Deployment:
    """Replicas behind a balancer; every process ends with the stack."""

    def __init__(
        self, balancer: Balancer, stack: contextlib.ExitStack, number: int, delay: float
    ) -> None:
        self.exit_codes: list[int] = []
        self._balancer = balancer
        self._stack = stack
        self._number = number
        self._settings = {"server__drain_delay": delay, "log__access": False}
        self._replicas: list[ServiceProcess] = []

    async def add_replica(self) -> None:
        """Start a process and list it once it is ready."""
        running = serving(**self._settings)
        replica = await asyncio.to_thread(self._stack.enter_context, running)
        self._replicas.append(replica)
        self._balancer.endpoints.append(replica.ports["httpserver"])

    async def restart(self) -> None:
        """Replace each replica: the new one first, then the old one's signal."""
        async with asyncio.TaskGroup() as leaving:
            for old in tuple(self._replicas):
                await self.add_replica()
                self._replicas.remove(old)
                leaving.create_task(self._end(old))

    async def _end(self, replica: ServiceProcess) -> None:
        replica.signal(self._number)
        await asyncio.sleep(PROPAGATION)
        self._balancer.endpoints.remove(replica.ports["httpserver"])
        self.exit_codes.append(await asyncio.to_thread(replica.await_exit))
        replica.close()


async def restarted(
    times: int, *, number: int = signal.SIGTERM, delay: float = 3.0
) -> tuple[Deployment, KeepAliveLoad, float]:
    """Restart so often under load; return also the requests per second."""
    with contextlib.ExitStack() as stack:
        async with balancing() as balancer:
            deployment = Deployment(balancer, stack, number, delay)
            for _ in range(REPLICAS):
                await deployment.add_replica()
            began = time.monotonic()
            async with keep_alive_load(
                "127.0.0.1", balancer.port, "/delay/0.02"
            ) as load:
                for _ in range(times):
                    await deployment.restart()
            rate = load.answers.total() / (time.monotonic() - began)
    print(f"{times} rolling restarts, {rate:.0f} requests/s: {load.totals()}")  # noqa: T201 - the soak's figures
    return deployment, load, rate


async def test_rolling_restarts_lose_no_request_and_exit_cleanly():
    """Every request of the clients is answered, on connections told when to leave."""
    deployment, load, _ = await restarted(2)

    assert load.failed == {}
    assert load.answers["200"] > 200
    assert load.told_to_close > 0
    assert deployment.exit_codes == [0] * 2 * REPLICAS


@pytest.mark.soak
async def test_hundred_rolling_restarts_at_200_requests_a_second_lose_none():
    """The same, long enough to meet what is rare."""
    deployment, load, rate = await restarted(100)

    assert load.failed == {}
    assert rate >= 200
    assert deployment.exit_codes == [0] * 100 * REPLICAS


@pytest.mark.parametrize(
    ("number", "delay"),
    [
        pytest.param(signal.SIGKILL, 3.0, id="killed"),
        pytest.param(signal.SIGTERM, 0.0, id="without drain delay"),
    ],
)
async def test_restart_that_does_not_drain_is_seen_by_the_clients(number, delay):
    """The model and its clients notice what goes wrong: they can fail."""
    _, load, _ = await restarted(1, number=number, delay=delay)

    assert load.failed
