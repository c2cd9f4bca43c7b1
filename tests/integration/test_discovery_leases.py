"""Instances that register themselves, in a real store of the Redis protocol."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from service.discovery.known import NotHeard
from service.discovery.lease_store import LeaseStore
from service.discovery.leases import Announcement, Announcer, LeaseRegistry
from service.discovery.model import Endpoint
from tests.support.discovery import Heard
from tests.support.redis_server import redis_server
from tests.support.waiting import fulfilled

HERE = Endpoint("10.0.0.1", 80, zone="a", weight=2.0)
TTL = 0.9

INSTANCE = """
import asyncio, sys
from service.discovery.lease_store import LeaseStore
from service.discovery.leases import Announcement, Announcer
from service.discovery.model import Endpoint
async def main():
    store = LeaseStore(lambda: sys.argv[1], prefix="t:")
    what = Announcement(service="shop", instance=Endpoint("10.0.0.9", 90), ttl=0.9)
    await Announcer(what, store=store, wanted=lambda: True).start()
    print("up", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.fixture
def redis():
    with redis_server() as server:
        yield server


def store_at(url):
    return LeaseStore(lambda: url, prefix="t:", timeout=1.0)


@pytest.fixture
async def parts():
    """Start parts, and stop them with the test."""
    started = []

    async def start(part):
        started.append(part)
        await part.start()
        return part

    yield start
    for each in started:
        await each.stop()


@pytest.fixture
async def registry(redis, parts):
    return await parts(
        LeaseRegistry(
            {"shop": "shop"}, store=store_at(redis.url), ttl=TTL, interval=0.05
        )
    )


def announcer(redis, instance=HERE, wanted=lambda: True, ttl=TTL, **options):
    what = Announcement(service="shop", instance=instance, ttl=ttl)
    return Announcer(what, store=store_at(redis.url), wanted=wanted, **options)


def places(registry):
    return sorted(map(str, registry.endpoints("shop")))


async def test_instance_is_known_while_it_runs(redis, registry, parts):
    """It comes with what it says of itself, and goes at once when it stops."""
    instance = await parts(announcer(redis))
    await fulfilled(lambda: places(registry))
    (found,) = registry.endpoints("shop")
    await instance.stop()
    await fulfilled(lambda: not places(registry))

    assert (found, found.zone, found.weight) == (HERE, "a", 2.0)


async def test_lease_is_renewed_beyond_its_time(redis, registry, parts):
    """Twice as long as a lease lasts, and it was there at every look."""
    heard, ttl = [], 2.0
    registry.known._observer = _Changes(heard)
    await parts(announcer(redis, ttl=ttl))
    await fulfilled(lambda: places(registry))
    await asyncio.sleep(2 * ttl)

    assert heard == [1]


class _Changes(Heard):
    def __init__(self, into):
        super().__init__()
        self._into = into

    def changed(self, service, before, after):
        self._into.append(len(after))


async def test_instance_that_is_killed_is_gone_after_its_lease(redis, registry):
    """kill -9: nobody gives the lease back, and it ends all the same."""
    process = subprocess.Popen(
        [sys.executable, "-c", INSTANCE, redis.url], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout.readline() == b"up\n"
        await fulfilled(lambda: places(registry) == ["10.0.0.9:90"])
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        await fulfilled(lambda: not places(registry))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def test_instance_that_drains_is_gone_before_it_stops(redis, registry, parts):
    """The lease is held from ready to draining, not from start to stop."""
    ready = False
    await parts(announcer(redis, wanted=lambda: ready))
    await fulfilled(lambda: registry.known.age("shop") is not None)
    before = places(registry)
    ready = True
    await fulfilled(lambda: places(registry))
    ready = False
    await fulfilled(lambda: not places(registry))

    assert before == []


async def test_several_instances_are_known_together(redis, registry, parts):
    """Each has its own lease."""
    for number in range(5):
        await parts(announcer(redis, Endpoint(f"fd00::{number}", 80)))
    await fulfilled(lambda: len(places(registry)) == 5)


async def test_store_that_is_away_leaves_what_was_known(redis, parts):
    """Stale instances are served; a store that returns empty makes nobody vanish; who
    did not come back is gone after a lease."""
    heard, told = Heard(), Heard()
    registry = await parts(
        LeaseRegistry(
            {"shop": "shop"},
            store=store_at(redis.url),
            ttl=TTL,
            interval=0.05,
            observer=heard,
        )
    )
    await parts(announcer(redis, observer=told))
    other = Endpoint("10.0.0.2", 80)
    dead = store_at(redis.url)
    await dead.renew("shop", other, 5.0)
    await dead.close()
    await fulfilled(lambda: len(places(registry)) == 2)
    redis.stop()
    await fulfilled(lambda: registry.known.failing("shop"))
    await fulfilled(lambda: told.told)
    redis.start()
    await fulfilled(lambda: ("returned", "shop") in heard.told)
    back = places(registry)
    await fulfilled(lambda: places(registry) == ["10.0.0.1:80"])

    assert back == ["10.0.0.1:80", "10.0.0.2:80"]
    sizes = [each[3] for each in heard.told if each[0] == "changed"]
    assert 0 not in sizes
    await fulfilled(lambda: ("returned", "shop") in told.told)


async def test_store_that_was_never_there_is_unready_and_no_crash(parts):
    """Start goes on, the check tells why, and a stop has nothing to give back."""
    url = "redis://127.0.0.1:9/0"
    registry = await parts(
        LeaseRegistry({"shop": "shop"}, store=store_at(url), ttl=TTL, interval=0.05)
    )
    await fulfilled(lambda: registry.known.failing("shop"))
    with pytest.raises(NotHeard, match="shop"):
        await registry.check()


async def test_entry_that_is_no_instance_is_left_out(redis, registry, parts):
    """Whatever else somebody puts there."""
    for text in ("garbage", "[]", '{"address":5}', '{"address":"a"}'):
        redis.command("ZADD", "t:shop", "99999999999999", f"'{text}'")
    await parts(announcer(redis))
    await fulfilled(lambda: places(registry) == ["10.0.0.1:80"])


async def test_url_that_changes_is_followed(redis):
    """A password that is replaced connects anew."""
    urls = [redis.url]
    store = LeaseStore(lambda: urls[-1], prefix="t:")
    await store.renew("shop", HERE, 5.0)
    urls.append(redis.url.replace("/0", "/1"))
    elsewhere = await store.read("shop")
    urls.append(redis.url)
    here = await store.read("shop")
    await store.close()

    assert (elsewhere, here) == ((), (HERE,))


async def test_lease_that_ended_is_not_read_while_others_last(redis):
    """Nobody renews, nobody clears away: the store's clock decides what is read."""
    store = store_at(redis.url)
    other = Endpoint("10.0.0.2", 80)
    await store.renew("shop", other, 30.0)
    await store.renew("shop", HERE, 0.2)
    before = await store.read("shop")
    async with asyncio.timeout(30):
        while len(found := await store.read("shop")) > 1:
            await asyncio.sleep(0.02)
    await store.close()

    assert set(before) == {HERE, other}
    assert found == (other,)
