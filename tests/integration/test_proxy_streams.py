"""Large and slow bodies through the proxy: both ways, in constant memory."""

import re
import threading
from pathlib import Path

import pytest

from tests.support.proxy import proxying, route
from tests.support.raw_http import RawConnection, get, request
from tests.support.recording_upstream import OK, recording_upstream
from tests.support.waiting import until

MEGABYTE = b"a" * 1_048_576


def peak(service):
    """Largest resident memory of the service so far, in bytes."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def reading(total, taken):
    """Read a body of *total* bytes, and answer."""

    def script(peer):
        line = b""
        while not line.endswith(b"\r\n\r\n"):
            line += peer.sock.recv(1)
        while sum(taken) < total:
            taken.append(len(peer.sock.recv(1 << 20)))
        peer.send(OK)

    return script


def writing(total, written):
    """Send a body of *total* bytes."""

    def script(peer):
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        for _ in range(total // len(MEGABYTE)):
            peer.send(MEGABYTE)
            written.append(len(MEGABYTE))
        peer.await_end()

    return script


SIZES = [
    100,
    pytest.param(1024, marks=pytest.mark.soak),
]


@pytest.mark.parametrize("megabytes", SIZES)
def test_large_upload_is_passed_on_in_constant_memory(megabytes):
    """Memory does not grow with the body."""
    total, taken = megabytes * len(MEGABYTE), []
    with (
        recording_upstream(reading(total, taken)) as upstream,
        proxying(
            route(upstream.url, max_body_bytes=total, timeouts={"total": 120.0})
        ) as service,
        RawConnection(service.ports["httpserver"]) as client,
    ):
        before = peak(service)
        line = b"PUT /up/x HTTP/1.1"
        client.send(request(line, b"Host: a", b"Content-Length: %d" % total))
        for _ in range(megabytes):
            client.send(MEGABYTE)
        got = client.answer()
        grown = peak(service) - before

    assert got.status == 200
    assert sum(taken) == total
    assert grown < 16_000_000


@pytest.mark.parametrize("megabytes", SIZES)
def test_large_download_is_passed_on_in_constant_memory(megabytes):
    """Memory does not grow with the body."""
    total = megabytes * len(MEGABYTE)
    with (
        recording_upstream(writing(total, [])) as upstream,
        proxying(route(upstream.url, timeouts={"total": 120.0})) as service,
        RawConnection(service.ports["httpserver"]) as client,
    ):
        before = peak(service)
        client.send(get(b"/up/x"))
        until(lambda: client._receive(5.0) and b"\r\n\r\n" in client.received)
        got = len(client.received.partition(b"\r\n\r\n")[2])
        client.socket.settimeout(60)
        while got < total:
            got += len(client.socket.recv(1 << 20))
        grown = peak(service) - before

    assert got == total
    assert grown < 16_000_000


def test_slow_reader_holds_the_upstream_back():
    """What the client does not take is not read from the upstream."""
    total, written = 100 * len(MEGABYTE), []
    with (
        recording_upstream(writing(total, written)) as upstream,
        proxying(route(upstream.url, timeouts={"idle": 1.0})) as service,
        RawConnection(service.ports["httpserver"], receive_buffer=65_536) as client,
    ):
        before = peak(service)
        client.send(get(b"/up/x"))
        until(lambda: written)
        threading.Event().wait(1.5)  # longer than the idle time: it is the client's
        held, grown = sum(written), peak(service) - before
        client.socket.settimeout(60)
        got = 0
        while got < total:
            got += len(client.socket.recv(1 << 20))

    assert held < 16_000_000
    assert grown < 8_000_000


def test_pieces_arrive_as_they_are_sent():
    """A stream of events is not held back until it ends."""
    more = threading.Event()

    def script(peer):
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        peer.send(b"5\r\nfirst\r\n")
        more.wait(60)
        peer.send(b"4\r\nlast\r\n0\r\n\r\n")

    with (
        recording_upstream(script) as upstream,
        proxying(route(upstream.url)) as service,
        RawConnection(service.ports["httpserver"]) as client,
    ):
        client.send(get(b"/up/x"))
        until(lambda: client._receive(1.0) and b"first" in client.received)
        more.set()
        got = client.answer()

    assert got.body == b"firstlast"


def test_answer_before_the_end_of_the_upload_is_passed_on():
    """An upstream may say no while the body is still on its way."""

    def script(peer):
        line = b""
        while not line.endswith(b"\r\n\r\n"):
            line += peer.sock.recv(1)
        peer.send(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")
        peer.await_end()

    with (
        recording_upstream(script) as upstream,
        proxying(route(upstream.url, max_body_bytes=10**9)) as service,
        RawConnection(service.ports["httpserver"]) as client,
    ):
        line = b"PUT /up/x HTTP/1.1"
        client.send(request(line, b"Host: a", b"Content-Length: 100000000"))
        client.send(b"a" * 1000)
        got = client.answer()

    assert (got.status, got.body) == (403, b"no")
