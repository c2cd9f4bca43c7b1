"""EndpointSlices by the `kubernetes` client, of an API server that misbehaves."""

import asyncio
import contextlib
import ssl
import threading
import time

import pytest
import trustme

from service.discovery.endpoint_slices import Target
from service.discovery.known import NotHeard
from service.discovery.kubernetes import KubernetesRegistry
from service.discovery.kubernetes_api import own_namespace
from service.resilience.backoff import Backoff
from tests.support.api_server import api_server, slice_of
from tests.support.discovery import Heard
from tests.support.waiting import fulfilled

SHOP = Target(namespace="shops", service="shop")
SOON = Backoff(first=0.05, most=0.2)


@pytest.fixture
def server(tmp_path, monkeypatch):
    with api_server(tmp_path) as (running, config):
        monkeypatch.setenv("KUBECONFIG", str(config))
        running.put(slice_of("shop", "shop-1", "10.0.0.1"))
        yield running


@pytest.fixture
async def follow(server):
    """Return what starts a registry of some services."""
    started = []

    async def start(heard=None, **targets):
        wanted = targets or {"shop": Target(namespace="shops", service="shop")}
        options = {} if heard is None else {"observer": heard}
        registry = KubernetesRegistry(wanted, backoff=SOON, **options)
        started.append(registry)
        await registry.start()
        return registry

    yield start
    for each in started:
        await each.stop()


def hosts(registry, service="shop"):
    return sorted(each.host for each in registry.endpoints(service))


async def test_start_knows_what_is_listed(server, follow):
    """The first list is there when the part has started, unless it takes a second;
    only slices of the services that are wanted are asked for."""
    began = time.monotonic()
    registry = await follow()
    if time.monotonic() - began > 1:
        await fulfilled(lambda: hosts(registry))
    await registry.check()

    assert hosts(registry) == ["10.0.0.1"]
    assert server.requests[0]["path"].endswith("/namespaces/shops/endpointslices")
    assert server.requests[0]["labelSelector"] == "kubernetes.io/service-name in (shop)"


async def test_many_namespaces_that_do_not_answer_hold_up_the_start_once():
    """However many there are, the start waits for all of them at the same time."""
    release = threading.Event()

    def silent(namespace, selector):
        release.wait()
        raise OSError("no route")

    wanted = {f"s{n}": Target(namespace=f"n{n}", service="s") for n in range(40)}
    registry = KubernetesRegistry(wanted, api=silent, backoff=SOON)
    try:
        async with asyncio.timeout(20):
            await registry.start()
        assert registry.endpoints("s39") == ()
    finally:
        release.set()
        await registry.stop()


async def test_events_are_followed(server, follow):
    """A slice that comes, changes and goes, of several of one service."""
    registry = await follow()
    server.await_watch()
    server.put(slice_of("shop", "shop-2", "10.0.0.2", "10.0.0.3"))
    await fulfilled(lambda: len(hosts(registry)) == 3)
    server.put(slice_of("shop", "shop-2", "10.0.0.3"))
    await fulfilled(lambda: hosts(registry) == ["10.0.0.1", "10.0.0.3"])
    server.delete("shop-1")
    await fulfilled(lambda: hosts(registry) == ["10.0.0.3"])


async def test_stream_that_ends_is_resumed_from_its_place(server, follow):
    """No new list: the next watch goes on from the last event."""
    registry = await follow()
    server.await_watch()
    server.put(slice_of("shop", "shop-2", "10.0.0.2"))
    await fulfilled(lambda: len(hosts(registry)) == 2)
    version = server.version
    server.end()
    server.await_watch(1)

    assert server.lists == 1
    assert server.requests[-1]["resourceVersion"] == str(version)


async def test_bookmark_moves_the_place(server, follow):
    """A namespace where nothing of ours changes does not run into a 410."""
    await follow()
    server.await_watch()
    server.bookmark()
    server.end()
    server.await_watch(1)

    assert server.requests[-1]["resourceVersion"] == str(server.version)
    assert server.requests[-1]["allowWatchBookmarks"] == "true"


@pytest.mark.parametrize("way", ["event", "status"])
async def test_gone_place_is_listed_anew(server, follow, way):
    """410, within the stream or as its status: what went meanwhile is gone, and it is
    no failure."""
    heard = Heard()
    registry = await follow(heard)
    server.await_watch()
    server.delete("shop-1", tell=False)
    server.put(slice_of("shop", "shop-9", "10.0.0.9"), tell=False)
    if way == "event":
        server.error(410, "Expired")
    else:
        server.gone = True
        server.end()
    await fulfilled(lambda: hosts(registry) == ["10.0.0.9"])

    assert server.lists == 2
    assert not [each for each in heard.told if each[0] == "failed"]


async def test_torn_stream_is_resumed(server, follow):
    """A connection that is cut within a line loses nothing."""
    registry = await follow()
    server.await_watch()
    server.send(b'{"type": "ADDED", "object": {"meta')
    server.tear()
    server.await_watch(1)
    server.put(slice_of("shop", "shop-2", "10.0.0.2"))
    await fulfilled(lambda: len(hosts(registry)) == 2)
    await fulfilled(lambda: not registry.known.failing("shop"))


@pytest.mark.parametrize(
    "garbage",
    [
        b"not json\n",
        b"[]\n",
        b'"text"\n',
        b'{"type": "ADDED"}\n',
        b'{"type": "ADDED", "object": 5}\n',
        b'{"type": "ADDED", "object": {"metadata": {}}}\n',
        b"\xff\xfe\n",
        b'{"type": "ERROR", "object": {"code": 500, "message": "etcd"}}\n',
        b'{"type": "ERROR", "object": null}\n',
    ],
)
async def test_garbage_is_told_and_survived(server, follow, garbage):
    """What is no event ends the stream, not the watch; the endpoints stay."""
    heard = Heard()
    registry = await follow(heard)
    server.await_watch()
    server.send(garbage)
    server.await_watch(1)
    during = hosts(registry)
    server.put(slice_of("shop", "shop-2", "10.0.0.2"))
    await fulfilled(lambda: len(hosts(registry)) == 2)

    assert during == ["10.0.0.1"]
    assert [each for each in heard.told if each[0] == "failed"]


async def test_blank_lines_are_nothing(server, follow):
    """Neither an event nor an error."""
    registry = await follow()
    server.await_watch()
    server.send(b"\n\n")
    server.put(slice_of("shop", "shop-2", "10.0.0.2"))
    await fulfilled(lambda: len(hosts(registry)) == 2)

    assert server.watches == 1


async def test_server_that_refuses_leaves_what_was_known(server, follow):
    """An outage: stale endpoints are served; afterwards everything is listed anew."""
    heard = Heard()
    registry = await follow(heard)
    server.await_watch()
    server.refuse = 503
    server.tear()
    await fulfilled(lambda: registry.known.failing("shop"))
    await fulfilled(lambda: len(server.requests) > 6)
    during = hosts(registry)
    server.put(slice_of("shop", "shop-1", "10.0.0.5"), tell=False)
    server.refuse = 0
    await fulfilled(lambda: hosts(registry) == ["10.0.0.5"])

    assert during == ["10.0.0.1"]
    assert ("returned", "shop") in heard.told


async def test_stream_that_ends_at_once_is_not_asked_for_without_a_pause(
    server, follow
):
    """A proxy that cuts every watch does not become a flood of requests."""
    await follow()
    for number in range(4):
        server.await_watch(number)
        server.end()
    server.await_watch(4)

    assert server.lists == 1


async def test_stop_ends_a_watch_that_waits(server, follow):
    """The thread leaves a connection on which nothing comes."""
    registry = await follow()
    server.await_watch()
    await registry.stop()

    await fulfilled(lambda: not any(e._thread.is_alive() for e in registry._watches))


async def test_slice_that_cannot_be_read_costs_its_service_alone(server, follow):
    """Another service of the same namespace goes on."""
    registry = await follow(
        shop=Target(namespace="shops", service="shop"),
        bank=Target(namespace="shops", service="bank"),
    )
    server.await_watch()
    server.put(slice_of("bank", "bank-1", "10.0.1.1", ports="eighty"))
    server.put(slice_of("shop", "shop-2", "10.0.0.2"))
    await fulfilled(lambda: len(hosts(registry)) == 2)

    assert "slice" in registry.known.failing("bank")


async def test_each_namespace_is_watched_apart(server, follow):
    """Services of two namespaces are two watches."""
    await follow(
        shop=Target(namespace="shops", service="shop"),
        bank=Target(namespace="banks", service="bank"),
    )
    await fulfilled(lambda: server.watches == 2)

    paths = {each["path"].split("/")[-2] for each in server.requests}
    assert paths == {"shops", "banks"}


async def test_no_credentials_is_told_and_no_crash(tmp_path, monkeypatch):
    """A kubeconfig that is not there: the part starts, and is not ready."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    target = Target(namespace="shops", service="shop")
    registry = KubernetesRegistry({"shop": target}, backoff=SOON)
    await registry.start()
    try:
        await fulfilled(lambda: registry.known.failing("shop"))
        with pytest.raises(NotHeard, match="onfig"):
            await registry.check()
    finally:
        await registry.stop()


def test_own_namespace_is_that_of_the_context(server):
    """Outside a cluster the context says which namespace is meant."""
    assert own_namespace() == "shops"


@pytest.fixture
def encrypted(tmp_path, monkeypatch):
    """Return what runs a server by TLS that trusts one authority or another."""
    authorities = {"own": trustme.CA(), "other": trustme.CA()}
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with contextlib.ExitStack() as stack:

        def run(name, trusted):
            authorities["own"].issue_cert(name).configure_cert(tls)
            file = tmp_path / "ca.pem"
            authorities[trusted].cert_pem.write_to_path(str(file))
            server, config = stack.enter_context(
                api_server(tmp_path, tls=tls, trusted=file)
            )
            monkeypatch.setenv("KUBECONFIG", str(config))
            server.put(slice_of("shop", "shop-1", "10.0.0.1"))

        yield run


async def test_certificate_of_the_cluster_is_trusted(encrypted):
    """By the authority that the kubeconfig names."""
    encrypted("127.0.0.1", "own")
    registry = KubernetesRegistry({"shop": SHOP}, backoff=SOON)
    await registry.start()
    try:
        await fulfilled(lambda: hosts(registry) == ["10.0.0.1"])
    finally:
        await registry.stop()


@pytest.mark.parametrize(
    ("name", "trusted"), [("127.0.0.1", "other"), ("127.0.0.9", "own")]
)
async def test_certificate_of_somebody_else_is_refused(encrypted, name, trusted):
    """Of another authority, or for another name: nothing is believed."""
    encrypted(name, trusted)
    registry = KubernetesRegistry({"shop": SHOP}, backoff=SOON)
    await registry.start()
    try:
        await fulfilled(lambda: registry.known.failing("shop"))
    finally:
        await registry.stop()

    assert hosts(registry) == []
    assert "certificate" in registry.known.failing("shop").lower()
