"""Endpoints that are checked fall by failures in a row, and rise by successes."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, integers, lists

from service.discovery.health import CheckedRegistry, HealthCheck, connects
from service.discovery.health_http import answers
from service.discovery.model import Endpoint
from tests.support.discovery import FakeRegistry, endpoints
from tests.support.waiting import fulfilled

FAST = {"interval": 0.01, "timeout": 0.5}


class Wellness:
    """Who is well, as the test says."""

    def __init__(self):
        self.ill = set()
        self.asked = 0

    async def probe(self, endpoint):
        self.asked += 1
        if endpoint in self.ill:
            raise ConnectionError
        return True


@pytest.fixture
def wellness():
    return Wellness()


@pytest.fixture
async def checked(wellness):
    """Return what starts a registry of one service that is checked."""
    started = []

    async def start(known, **options):
        inner = FakeRegistry(shop=known, bank=endpoints(1))
        rule = HealthCheck(probe=wellness.probe, **{**FAST, **options})
        told = []
        outer = CheckedRegistry(
            inner,
            {"shop": rule, "later": rule},
            on_change=lambda *t: told.append((*t, ready(outer))),
        )
        outer.inner, outer.told = inner, told
        started.append(outer)
        await outer.start()
        return outer

    yield start
    for each in started:
        await each.stop()


def ready(registry):
    return [each.ready for each in registry.endpoints("shop")]


async def test_ill_endpoint_is_not_ready_until_it_is_well_again(checked, wellness):
    """It falls, the others stay; it rises; both are told once."""
    registry = await checked(endpoints(2))
    first = registry.endpoints("shop")[0]
    wellness.ill = {first}
    await fulfilled(lambda: ready(registry) == [False, True])
    fallen = registry.endpoints("shop")
    same = registry.endpoints("shop") is fallen
    wellness.ill = set()
    await fulfilled(lambda: ready(registry) == [True, True])

    assert same
    assert fallen[0].serving is False
    assert registry.told == [
        ("shop", first, False, [False, True]),
        ("shop", first, True, [True, True]),
    ]


async def test_service_without_checks_passes_as_it_is(checked):
    """The tuple itself, so that the balancer sees that nothing changed."""
    registry = await checked(endpoints(1))

    assert registry.endpoints("bank") is registry.inner.services["bank"]


async def test_endpoint_that_is_new_is_believed(checked, wellness):
    """Who told of it said that it is ready; the first checks are to come."""
    wellness.ill = set(endpoints(1))
    registry = await checked(endpoints(1), interval=60, fall=2)

    assert ready(registry) == [True]


async def test_probe_that_hangs_is_a_failure(checked, wellness):
    """Silence is no answer."""

    async def hang(_endpoint):
        await asyncio.Event().wait()

    wellness.probe = hang
    registry = await checked(endpoints(1), timeout=0.01)
    await fulfilled(lambda: ready(registry) == [False])


async def test_service_that_comes_later_is_checked_then(checked, wellness):
    """A service the registry does not know yet ends no check."""
    registry = await checked(endpoints(1))
    wellness.ill = set(endpoints(1))
    registry.inner.services["later"] = endpoints(1)
    await fulfilled(lambda: registry.endpoints("later")[0].ready is False)


async def test_registry_within_is_started_and_stopped(checked):
    """One part for both."""
    registry = await checked(endpoints(1))
    await registry.check()
    await registry.stop()

    assert (registry.inner.started, registry.inner.stopped) == (1, 1)


async def test_thousand_endpoints_are_checked_a_few_at_a_time(checked, wellness):
    """No more than fifty connections are opened at once."""
    known = tuple(Endpoint("10.0.0.1", 1 + n) for n in range(1000))
    under_way, most = 0, 0

    async def probe(_endpoint):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        wellness.asked += 1
        return True

    wellness.probe = probe
    await checked(known)
    await fulfilled(lambda: wellness.asked >= 1000)

    assert most <= 50


@given(lists(booleans(), max_size=40), integers(1, 4), integers(1, 4))
def test_thresholds_are_kept_for_any_outcomes(outcomes, rise, fall):
    """Compared with a model: the state turns after so many against it in a row."""
    (endpoint,) = endpoints(1)
    state, against = True, 0
    states, found = [], []

    async def run():
        nonlocal state, against
        left = iter(outcomes)

        async def probe(_endpoint):
            return next(left)

        registry = CheckedRegistry(FakeRegistry(shop=(endpoint,)), {})
        rule = HealthCheck(probe=probe, rise=rise, fall=fall)
        outer = CheckedRegistry(FakeRegistry(shop=(endpoint,)), {"shop": rule})
        assert registry.endpoints("shop") == (endpoint,)
        for well in outcomes:
            against = 0 if well == state else against + 1
            if against >= (rise if well else fall):
                state, against = well, 0
            states.append(state)
            await outer._checks["shop"].round((endpoint,), rule)
            found.append(outer.endpoints("shop")[0].ready)

    asyncio.run(run())

    assert found == states


async def serve(status):
    """Serve one status on a free port."""

    async def answer(reader, writer):
        try:
            # nobody may ask after all
            with contextlib.suppress(asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % status)
            await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server, Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])


@pytest.mark.parametrize(
    ("status", "well"), [(200, True), (302, True), (404, False), (503, False)]
)
async def test_http_probe_goes_by_the_status(status, well):
    """Less than 400 is well."""
    server, endpoint = await serve(status)
    async with server:
        assert await answers("/readyz")(endpoint) is well


async def test_tcp_probe_goes_by_the_connection():
    """Whoever listens is well, whatever it speaks."""
    server, endpoint = await serve(200)
    async with server:
        assert await connects(endpoint)
    with pytest.raises(ConnectionError):
        await connects(endpoint)
