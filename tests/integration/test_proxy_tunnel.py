"""WebSockets through the proxy: bytes both ways, and an end of every tunnel."""

import base64
import hashlib
import os
import signal
import time

import pytest

from tests.support.proxy import QUICK, counted, proxying, route
from tests.support.raw_http import RawConnection, request
from tests.support.recording_upstream import answer, recording_upstream
from tests.support.waiting import until

KEY = base64.b64encode(b"0123456789abcdef")
ACCEPT = base64.b64encode(
    hashlib.sha1(KEY + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
)
ASK = (
    b"Connection: keep-alive, Upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: " + KEY,
)
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"
)


def echo(peer):
    """Switch, and send back whatever comes."""
    peer.request()
    peer.send(SWITCH + b"first")
    while data := peer.sock.recv(65536):
        peer.send(data)


def opened(client, path=b"/up/ws"):
    client.send(request(b"GET " + path + b" HTTP/1.1", b"Host: shop.example", *ASK))
    until(lambda: b"\r\n\r\n" in client.received or not client._receive(60.0))
    head, _, client.received = client.received.partition(b"\r\n\r\n")
    return head.lower()


def read(client, size):
    until(lambda: len(client.received) >= size or not client._receive(60.0))
    data, client.received = client.received[:size], client.received[size:]
    return data


@pytest.fixture(scope="module")
def service():
    """A proxy that lets connections be upgraded, on two of three routes."""
    with recording_upstream(echo) as upstream:
        routes = [
            route(upstream.url, websocket=True, timeouts={"idle": 60.0}),
            route(upstream.url, "/quick/", websocket=True, timeouts=QUICK),
            route(upstream.url, "/plain/"),
        ]
        with proxying(*routes, proxy__keep_alive=0) as running:
            running.upstream = upstream
            yield running


def test_bytes_go_both_ways_unchanged(service):
    """From the 101 on, whatever one side says the other hears."""
    data = os.urandom(3_000_000)

    with RawConnection(service.ports["httpserver"]) as client:
        head = opened(client)
        first = read(client, 5)
        got = b""
        for start in range(0, len(data), 100_000):
            client.send(data[start : start + 100_000])
            got += read(client, 100_000)
        tunnels = counted(service, "httpserver_proxy_tunnels")

    assert head.startswith(b"http/1.1 101 ")
    assert b"\r\nconnection: upgrade" in head
    assert b"\r\nupgrade: websocket" in head
    assert b"sec-websocket-accept: " + ACCEPT.lower() in head
    assert first == b"first"
    assert got == data
    assert tunnels == 1
    _, headers, _ = service.upstream.requests[-1]
    assert headers[b"sec-websocket-key"] == KEY
    until(lambda: counted(service, "httpserver_proxy_tunnels") == 0)


def test_client_that_leaves_ends_the_upstreams_side(service):
    """And the other way round."""
    before = service.upstream.ended
    with RawConnection(service.ports["httpserver"]) as client:
        opened(client)

    until(lambda: service.upstream.ended > before)


def test_upstream_that_leaves_ends_the_clients_side(service):
    """After its last byte."""
    service.upstream.script = lambda peer: (
        peer.request(),
        peer.send(SWITCH + b"last"),
    )
    try:
        with RawConnection(service.ports["httpserver"]) as client:
            opened(client)
            last = read(client, 4)
            ended = client.await_end()
    finally:
        service.upstream.script = echo

    assert (last, ended) == (b"last", True)


def test_silent_tunnel_ends_after_the_idle_time(service):
    """The route's idle time-out holds for tunnels: here a second."""
    with RawConnection(service.ports["httpserver"]) as client:
        began = time.monotonic()
        opened(client, b"/quick/ws")
        read(client, 5)
        ended = client.await_end()

    assert ended
    assert time.monotonic() - began > 0.8


def test_upstream_that_does_not_switch_answers_as_ever(service):
    """A refusal is an answer like others."""
    service.upstream.script = lambda peer: (
        peer.request(),
        peer.send(answer(b"no", status=b"403 Forbidden")),
    )
    try:
        with RawConnection(service.ports["httpserver"]) as client:
            line = b"GET /up/ws HTTP/1.1"
            client.send(request(line, b"Host: shop.example", *ASK))
            got = client.answer()
    finally:
        service.upstream.script = echo

    assert (got.status, got.body) == (403, b"no")


def test_upgrade_of_a_route_that_has_none_is_a_plain_request(service):
    """Nothing of it goes on; a 101 that nobody asked for is a bad answer."""
    with RawConnection(service.ports["httpserver"]) as client:
        line = b"GET /plain/ws HTTP/1.1"
        client.send(request(line, b"Host: shop.example", *ASK))
        got = client.answer()

    _, headers, _ = service.upstream.requests[-1]
    assert got.status == 502
    assert b"upgrade" not in headers


def test_tunnels_end_within_a_bounded_time_when_the_service_leaves():
    """A stop with open WebSockets is a clean one."""
    with (
        recording_upstream(echo) as upstream,
        proxying(
            route(upstream.url, websocket=True, timeouts={"idle": 60.0}),
            proxy__tunnel_grace=1,
            server__drain_delay=2,
        ) as service,
        RawConnection(service.ports["httpserver"]) as client,
    ):
        opened(client)
        service.signal(signal.SIGTERM)
        client.send(b"still")
        heard = read(client, 10)
        ended = client.await_end()
        code = service.await_exit()

    assert heard == b"firststill"
    assert ended
    assert code == 0
