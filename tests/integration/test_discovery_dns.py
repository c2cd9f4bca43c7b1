"""Services in the DNS, asked of a real server."""

import asyncio
import time

import pytest

from service.discovery.dns import DnsRegistry
from service.discovery.dns_lookup import Question, Ttl
from service.discovery.known import NotHeard
from tests.support.discovery import Heard
from tests.support.dns_server import dns_server
from tests.support.waiting import fulfilled

SHOP = Question(name="shop.example.", port=80)
SRV = Question(name="_http._tcp.shop.example.")


@pytest.fixture
def server(tmp_path):
    with dns_server(tmp_path) as running:
        yield running


@pytest.fixture
async def follow(server):
    """Return what starts a registry of some questions."""
    started = []

    async def start(questions, **options):
        options = {"ttl": Ttl(least=0.1), "timeout": 1.0, **options}
        registry = DnsRegistry(questions, servers=[server.address], **options)
        started.append(registry)
        await registry.start()
        return registry

    yield start
    for each in started:
        await each.stop()


def places(registry, service="shop"):
    return sorted(map(str, registry.endpoints(service)))


async def test_addresses_of_both_families_are_endpoints(server, follow):
    """A and AAAA records with the port that is known; start waits for them."""
    server.write("shop A 10.0.0.1", "shop A 10.0.0.2", "shop AAAA fd00::1")
    registry = await follow({"shop": SHOP})
    await fulfilled(lambda: len(registry.endpoints("shop")) == 3)

    assert places(registry) == ["10.0.0.1:80", "10.0.0.2:80", "[fd00::1]:80"]
    await registry.check()


@pytest.mark.parametrize(
    ("family", "place"), [("ipv4", "10.0.0.1:80"), ("ipv6", "[fd00::1]:80")]
)
async def test_one_family_is_asked_for_alone(server, follow, family, place):
    """Whoever has no IPv6 route does not want its addresses."""
    server.write("shop A 10.0.0.1", "shop AAAA fd00::1")
    registry = await follow(
        {"shop": Question(name="shop.example.", port=80, family=family)}
    )
    await fulfilled(lambda: registry.endpoints("shop"))

    assert places(registry) == [place]


async def test_alias_is_followed(server, follow):
    """A CNAME leads to the addresses of what it names."""
    server.write("shop CNAME real", "real A 10.0.0.1")
    registry = await follow({"shop": SHOP})
    await fulfilled(lambda: registry.endpoints("shop"))

    assert places(registry) == ["10.0.0.1:80"]


async def test_service_records_tell_port_weight_and_priority(server, follow):
    """SRV: the heaviest weighs 1; a target with two addresses shares its weight."""
    server.write(
        "_http._tcp.shop SRV 10 60 8080 a.example.",
        "_http._tcp.shop SRV 10 30 8081 b.example.",
        "_http._tcp.shop SRV 20 0 9090 c.example.",
        "a A 10.0.0.1",
        "b A 10.0.0.2",
        "b A 10.0.0.3",
        "c AAAA fd00::3",
    )
    registry = await follow({"shop": SRV})
    await fulfilled(lambda: len(registry.endpoints("shop")) == 4)

    found = {str(e): (e.priority, e.weight) for e in registry.endpoints("shop")}
    assert found["10.0.0.1:8080"] == (10, 1.0)
    assert found["10.0.0.2:8081"] == found["10.0.0.3:8081"] == (10, 0.25)
    assert found["[fd00::3]:9090"][0] == 20
    assert 0 < found["[fd00::3]:9090"][1] < 0.01


async def test_target_of_a_dot_is_no_endpoint(server, follow):
    """By RFC 2782 it says that the service is not to be had: known, and nowhere."""
    server.write("_http._tcp.shop SRV 0 0 0 .")
    registry = await follow({"shop": SRV})
    await registry.check()

    assert registry.endpoints("shop") == ()


async def test_name_that_does_not_exist_is_a_service_without_endpoints(follow):
    """It is an answer: the service is known, nothing of it runs."""
    registry = await follow({"shop": SHOP})
    await registry.check()

    assert registry.endpoints("shop") == ()
    assert registry.known.failing("shop") == ""


async def test_changes_are_seen_within_the_ttl(server, follow):
    """An instance that comes and one that goes, by the second that records live."""
    server.write("shop A 10.0.0.1", ttl=1)
    registry = await follow({"shop": SHOP})
    await fulfilled(lambda: places(registry) == ["10.0.0.1:80"])
    server.write("shop A 10.0.0.1", "shop A 10.0.0.2", ttl=1)
    await fulfilled(lambda: len(places(registry)) == 2)
    server.write("other A 10.0.0.1", ttl=1)
    await fulfilled(lambda: places(registry) == [])


async def test_long_ttl_is_bounded(server, follow):
    """A record that is good for a day is asked for again within the bound."""
    server.write("shop A 10.0.0.1", ttl=86_400)
    registry = await follow({"shop": SHOP}, ttl=Ttl(least=0.1, most=0.3))
    await fulfilled(lambda: places(registry) == ["10.0.0.1:80"])
    server.write("shop A 10.0.0.2", ttl=86_400)
    await fulfilled(lambda: places(registry) == ["10.0.0.2:80"])


async def test_ttl_is_honoured(server, follow):
    """A record that is good for an hour is not asked for again at once."""
    server.write("shop A 10.0.0.1", ttl=3600)
    registry = await follow({"shop": SHOP}, ttl=Ttl(least=0.1, most=7200.0))
    await fulfilled(lambda: places(registry) == ["10.0.0.1:80"])
    age = registry.known.age("shop")
    await asyncio.sleep(0.4)

    assert registry.known.age("shop") >= age + 0.4


async def test_server_that_is_away_leaves_what_was_known(server, follow):
    """Stale answers are served, the outage is told once, and its end."""
    heard = Heard()
    server.write("shop A 10.0.0.1")
    registry = await follow({"shop": SHOP}, observer=heard)
    await fulfilled(lambda: registry.endpoints("shop"))
    server.stop()
    await fulfilled(lambda: registry.known.failing("shop"))
    during = places(registry)
    server.write("shop A 10.0.0.2")
    server.start()
    await fulfilled(lambda: places(registry) == ["10.0.0.2:80"])

    assert during == ["10.0.0.1:80"]
    assert ("returned", "shop") in heard.told
    assert len([each for each in heard.told if each[-1] is True]) == 1


async def test_start_without_a_server_is_soon_and_unready():
    """A resolver that is away keeps nobody from starting; the check tells it."""
    registry = DnsRegistry({"shop": SHOP}, servers=["127.0.0.1:9"], timeout=0.3)
    began = time.monotonic()
    await registry.start()
    try:
        assert time.monotonic() - began < 5
        await fulfilled(lambda: registry.known.failing("shop"))
        with pytest.raises(NotHeard, match="shop"):
            await registry.check()
    finally:
        await registry.stop()
