"""Several endpoints behind one upstream: one dies, drains or hangs, unnoticed."""

import asyncio
import contextlib
import json
import signal

import httpx2
import pytest

from tests.support.control import AUTH, TOKEN, VARIABLE
from tests.support.load import Load
from tests.support.process import serving
from tests.support.proxy import counted, proxying, route
from tests.support.recording_upstream import OK, answer, recording_upstream


@contextlib.contextmanager
def balanced(*urls, timeouts=None, **settings):
    """Run the proxy before one service of these endpoints."""
    addresses = [url.removeprefix("http://") for url in urls]
    services = {"catalogue": {"source": "static", "endpoints": addresses}}
    with proxying(
        route("service://catalogue", retries=2, timeouts=timeouts or {}),
        discovery__services=json.dumps(services),
        **settings,
    ) as service:
        yield service


@pytest.fixture
def backends():
    """Three services that drain within a second or two."""
    quick = {
        "server__drain_delay": 0.5,
        "server__grace_period": 3,
        "overload__adaptive": "false",  # slowness alone refuses nobody
        "server__admin__control__enabled": True,
        "environment": {VARIABLE: TOKEN},
    }
    with serving(**quick) as one, serving(**quick) as two, serving(**quick) as three:
        yield one, two, three


def requests(service):
    """Return how many a backend has answered."""
    return counted(service, "http_requests_total", route="/version", status="200")


async def under_load(service, *steps, clients=20, seconds=3.0):
    """Let clients ask one request after the other while the steps are taken."""
    load = Load(service.ports["httpserver"])
    async with asyncio.TaskGroup() as group:
        group.create_task(load.closed("/up/version", clients=clients, seconds=seconds))
        for step in steps:
            await asyncio.sleep(0.7)
            group.create_task(asyncio.to_thread(step))
    await load.close()
    return [each.status for each in load.answers]


async def test_killed_and_drained_endpoints_cost_no_request(backends):
    """What never was sent, or may be sent twice, goes to another endpoint."""
    one, two, three = backends
    with balanced(one.url, two.url, three.url) as service:
        statuses = await under_load(
            service,
            lambda: one.signal(signal.SIGKILL),
            lambda: two.signal(signal.SIGTERM),
        )
        retries = counted(service, "httpserver_proxy_retries_total")
        drained = two.await_exit()

    assert len(statuses) > 100
    assert set(statuses) == {200}
    assert retries > 0
    assert drained == 0


async def test_endpoint_that_hangs_is_left_and_comes_back(backends):
    """Requests that wait there are answered elsewhere; once well it is asked again."""
    one, two, _ = backends
    fault = {"rate": 1, "expires_in": 60}
    fault["delay"] = {"distribution": "fixed", "seconds": 30}
    faults = f"{one.admin_url}/control/faults"

    def hang():
        httpx2.post(faults, json=fault, headers=AUTH).raise_for_status()

    with balanced(one.url, two.url, timeouts={"head": 3.0}) as service:
        hung = await under_load(service, hang)
        httpx2.delete(faults, headers=AUTH).raise_for_status()
        asked, again = requests(one), []
        async with asyncio.timeout(60):
            while requests(one) < asked + 100:
                again += await under_load(service, seconds=1.0)

    assert set(hung) == {200}
    assert set(again) == {200}


async def test_five_hundred_clients_at_once_are_all_answered(backends):
    """None waits for a connection of another, none is refused."""
    patient = {  # so many at once on a busy machine: slowness alone fails nobody
        "overload__max_in_flight": 2000,
        "overload__adaptive": "false",
    }
    urls = [each.url for each in backends]
    with balanced(*urls, **patient) as service:
        statuses = await under_load(service, clients=500)
        reused = counted(service, "httpserver_proxy_connections_total", reused="true")
        made = counted(service, "httpserver_proxy_connections_total", reused="false")

    assert len(statuses) >= 500
    assert set(statuses) == {200}
    assert made <= 1000
    assert reused > 0


def test_endpoint_that_says_503_is_passed_over():
    """Another endpoint gets the request when it may be sent twice."""
    unwell = answer(b"no", status=b"503 Service Unavailable")
    with (
        recording_upstream(unwell) as ill,
        recording_upstream(OK) as well,
        balanced(ill.url, well.url) as service,
    ):
        got = [httpx2.get(f"{service.url}/up/x").status_code for _ in range(10)]
        posted = [httpx2.post(f"{service.url}/up/x").status_code for _ in range(10)]

    assert got == [200] * 10
    assert set(posted) <= {200, 503}
    assert 0 < len(ill.requests) < 20


def test_post_is_not_sent_twice():
    """It may have been carried out, so the client is told instead."""

    def cut(peer):
        peer.request()

    with (
        recording_upstream(cut) as one,
        recording_upstream(cut) as two,
        balanced(one.url, two.url) as service,
    ):
        got = httpx2.post(f"{service.url}/up/x", content=b"body")
        asked = len(one.requests) + len(two.requests)
        put = httpx2.put(f"{service.url}/up/x", content=b"body")
        bodies = [each[2] for each in one.requests + two.requests]

    assert (got.status_code, asked) == (502, 1)
    assert put.status_code == 502
    assert bodies == [b"body"] * 4  # of the PUT, which may be repeated, three


def test_kept_connection_that_was_closed_meanwhile_costs_nothing():
    """A request that meets it goes out again on a new one."""

    def once(peer):
        peer.request()
        peer.send(OK)

    with (
        recording_upstream(once) as upstream,
        proxying(route(upstream.url, retries=0)) as service,
        httpx2.Client() as http,
    ):
        got = [http.get(f"{service.url}/up/{n}").status_code for n in range(200)]

    assert got == [200] * 200


def test_service_that_nobody_knows_is_503():
    """With Retry-After: it may be known soon."""
    with proxying(route("service://unknown")) as service:
        got = httpx2.get(f"{service.url}/up/x")

    assert (got.status_code, got.json()["reason"]) == (503, "unknown_service")
    assert got.headers["retry-after"] == "1"
