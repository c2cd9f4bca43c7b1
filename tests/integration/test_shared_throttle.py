"""One rate for all replicas, in a real store that may go away."""

import asyncio
import socket
import subprocess
import sys
import time

import httpx2
import pytest
from redis.exceptions import RedisError

from service.resilience.keyed_throttle import KeyedThrottle
from service.resilience.shared_throttle import SharedThrottle
from tests.support.process import serving
from tests.support.redis_server import redis_server


@pytest.fixture
def server():
    with redis_server() as running:
        yield running


class Observer:
    """Notes what the throttle tells of its store."""

    def __init__(self):
        self.failures = 0
        self.outages = []
        self.returns = asyncio.Event()

    def failed(self):
        self.failures += 1

    def lost(self, reason):
        self.outages.append(reason)

    def returned(self):
        self.returns.set()


class Replica:
    """A throttle of its own, and what it observed."""

    def __init__(self, url, *, capacity=5, rate=0.001, timeout=30.0, pause=0.05):
        self.limits = (capacity, rate)
        self.observer = Observer()
        self.throttle = SharedThrottle.at(
            url,
            limits=lambda: self.limits,
            local=KeyedThrottle(lambda: self.limits),
            timeout=lambda: timeout,
            observer=self.observer,
            prefix="test:",
            pause=pause,
        )

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.throttle.close()

    async def granted(self, calls, key="a"):
        """Ask so many times at once; return how many were granted."""
        asked = [self.throttle.acquire(key) for _ in range(calls)]
        return sum(each.wait == 0 for each in await asyncio.gather(*asked))


async def test_replicas_grant_one_burst_together(server):
    """Two that ask at once share what one client has."""
    async with Replica(server.url) as one, Replica(server.url) as other:
        granted = await asyncio.gather(one.granted(20), other.granted(20))

        assert sum(granted) == 5
        assert await one.granted(3, key="b") == 3
        assert not one.observer.failures


async def test_store_tells_what_is_left(server):
    """Limit, whole tokens, seconds to wait and until full, by the store's clock."""
    async with Replica(server.url, capacity=2, rate=0.01) as replica:
        first = await replica.throttle.acquire("a")
        await replica.throttle.acquire("a")
        refused = await replica.throttle.acquire("a")

    assert first[:3] == (0.0, 2, 1)
    assert first.reset == pytest.approx(100, abs=30)
    assert refused.wait == pytest.approx(100, abs=30)
    assert refused[1:3] == (2, 0)
    assert refused.reset == pytest.approx(200, abs=30)


async def test_bucket_fills_again_and_the_store_forgets_it(server):
    """Full buckets take no room in the store."""
    async with Replica(server.url, capacity=2, rate=50) as replica:
        assert await replica.granted(1) == 1
        end = time.monotonic() + 60
        while server.command("DBSIZE") != b":0\r\n":
            assert time.monotonic() < end
            await asyncio.sleep(0.02)

        assert await replica.granted(2) == 2


async def test_new_limits_take_effect_in_the_store(server):
    """At most an empty bucket of the new limits is owed."""
    async with Replica(server.url, capacity=1, rate=0.0001) as replica:
        assert await replica.granted(2) == 1
        replica.limits = (3, 0.001)
        refused = await replica.throttle.acquire("a")

    assert refused.wait == pytest.approx(1000, abs=60)


async def test_debt_of_slower_limits_is_paid_off_at_the_new_rate(server):
    """Who took all by the old limits is not refused until those would grant again."""
    async with Replica(server.url, capacity=1, rate=0.0001) as replica:
        assert await replica.granted(2) == 1
        replica.limits = (3, 20)
        end = time.monotonic() + 60
        while not await replica.granted(1):
            assert time.monotonic() < end
            await asyncio.sleep(0.02)


async def test_script_that_the_store_forgot_is_loaded_again(server):
    """A restart or SCRIPT FLUSH is no outage."""
    async with Replica(server.url) as replica:
        await replica.granted(2)
        server.command("SCRIPT", "FLUSH")

        assert await replica.granted(5) == 3
        assert not replica.observer.failures


async def test_without_the_store_each_counts_for_itself_until_it_is_back(server):
    """One outage is told once, and ends by itself."""
    async with Replica(server.url) as replica:
        assert await replica.granted(5) == 5
        server.stop()
        assert await replica.granted(20) == 5
        assert await replica.granted(20) == 0
        assert len(replica.observer.outages) == 1

        server.start()
        async with asyncio.timeout(60):
            await replica.observer.returns.wait()
        assert await replica.granted(20) == 5
        assert len(replica.observer.outages) == 1


async def test_store_that_does_not_answer_costs_the_time_out_once():
    """Who asks next does not wait at all."""
    silent = socket.create_server(("127.0.0.1", 0))
    url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
    async with Replica(url, timeout=0.2, pause=600) as replica:
        assert await replica.granted(20) == 5
        before = time.perf_counter()
        for _ in range(500):
            await replica.throttle.acquire("b")

        assert time.perf_counter() - before < 60  # 100 s by the time-outs
        assert replica.observer.failures == 1
    silent.close()


async def test_store_that_refuses_the_script_is_an_outage(server):
    """Such as a replica that may not be written to."""
    server.command("REPLICAOF", "127.0.0.1", "1")
    async with Replica(server.url) as replica:
        assert await replica.granted(20) == 5
        assert replica.observer.outages


async def test_calls_that_come_while_others_are_under_way_are_all_answered(server):
    """They come one by one, as requests do, and not all in one turn of the loop."""
    async with Replica(server.url, capacity=300) as replica, asyncio.timeout(60):
        asked = []
        for _ in range(300):
            asked.append(asyncio.create_task(replica.throttle.acquire("a")))
            await asyncio.sleep(0.0002)
        got = await asyncio.gather(*asked)

    assert [each.wait for each in got] == [0.0] * 300
    assert replica.observer.failures == 0


async def test_caller_that_leaves_keeps_nobody_waiting(server):
    """A cancelled request among others."""
    async with Replica(server.url) as replica:
        leaving = asyncio.ensure_future(replica.throttle.acquire("a"))
        staying = asyncio.ensure_future(replica.throttle.acquire("b"))
        await asyncio.sleep(0)
        leaving.cancel()

        assert (await staying).wait == 0.0


def test_url_that_is_none_is_refused():
    """Before anything is connected."""
    with pytest.raises((ValueError, RedisError)):
        SharedThrottle.at("http://cache", limits=None)


async def test_two_services_count_a_client_together(server):
    """What one has granted is gone at the other; without the store each goes on."""
    settings = {
        "throttle__enabled": "true",
        "throttle__rate": 0.01,
        "throttle__burst": 4,
        "throttle__store": server.url,
        "throttle__store_timeout": 10,
    }
    with serving(**settings) as one, serving(**settings) as other:
        async with httpx2.AsyncClient(timeout=60) as client:
            codes = [
                (await client.get(f"{each.url}/hello")).status_code
                for each in (one, other, one, other, one, other)
            ]
            server.stop()
            alone = [await client.get(f"{one.url}/hello") for _ in range(5)]
            one.await_event("throttle_store_lost")
            metrics = (await client.get(f"{one.admin_url}/metrics")).text
            server.start()
            one.await_event("throttle_store_returned")

    assert codes == [200, 200, 200, 200, 429, 429]
    assert [each.status_code for each in alone] == [200, 200, 200, 200, 429]
    assert "httpserver_throttle_store_errors_total 0.0" not in metrics
    assert len(one.events("throttle_store_lost")) == 1


def test_service_without_a_store_does_not_import_its_client():
    """The start pays for what is used."""
    code = (
        "import sys; from service.app import create_app; create_app();"
        "sys.exit(any(name.partition('.')[0] == 'redis' for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
