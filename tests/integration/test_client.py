"""The client over real sockets: servers that misbehave, TLS, many calls, calls cut."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from service.client.client import Client
from service.client.errors import (
    InvalidAnswer,
    TooManyRedirects,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from service.client.redirects import following
from service.discovery.balancer import Balancer
from service.discovery.model import Endpoint
from tests.support.certificates import Authority
from tests.support.rogue import OK, answering, behaving
from tests.support.upstream import settings_of
from tests.support.waiting import fulfilled

LIMIT = 60.0
"""Seconds that a condition may take before the test fails."""

PATIENT = dict.fromkeys(
    ("timeout", "attempt_timeout", "connect_timeout", "read_timeout"), LIMIT
)
"""Time-outs of a client that no busy machine lets pass."""


@pytest.fixture
async def make_client():
    clients = []

    def make(balancer=None, **changes) -> Client:
        settings = settings_of(**PATIENT | changes)
        clients.append(Client(lambda: settings, balancer=balancer))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


async def hang(peer) -> None:
    await peer.gone()
    raise EOFError


async def trickle(peer) -> None:
    await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while not peer.reader.at_eof():
        await peer.send(b"x")
        await asyncio.sleep(0.02)


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
ROGUES = {
    "hangs before the head": (hang, UpstreamTimeout, "read_timeout"),
    "trickles the body": (trickle, UpstreamTimeout, "attempt_timeout"),
    "hangs up at once": (
        answering(then_close=True),
        InvalidAnswer,
        "protocol",
    ),
    "hangs up in the head": (
        answering(b"HTTP/1.1 200 OK\r\ncontent-", then_close=True),
        InvalidAnswer,
        "protocol",
    ),
    "hangs up in the body": (
        answering(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nxx", then_close=True),
        InvalidAnswer,
        "protocol",
    ),
    "hangs up between chunks": (
        answering(CHUNKED, b"2\r\nok\r\n", then_close=True),
        InvalidAnswer,
        "protocol",
    ),
    "sends bad chunks": (
        answering(CHUNKED, b"zz\r\nok\r\n"),
        InvalidAnswer,
        "protocol",
    ),
    "sends headers of 1 MB": (
        answering(b"HTTP/1.1 200 OK\r\nx: " + b"x" * 1_000_000, OK),
        InvalidAnswer,
        "protocol",
    ),
    "is no web server": (
        answering(b"SSH-2.0-OpenSSH_10.0\r\n\r\n"),
        InvalidAnswer,
        "protocol",
    ),
    "encodes badly": (
        answering(
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nok"
        ),
        InvalidAnswer,
        "protocol",
    ),
}


@pytest.mark.parametrize("name", ROGUES)
async def test_server_that_misbehaves_gives_an_error_that_tells_how(name, make_client):
    """The call ends in time, is repeated once, and leaves no connection behind."""
    behave, kind, reason = ROGUES[name]
    # that time-out alone which is to be seen
    short = {reason: 0.5} if kind is UpstreamTimeout else {}
    client = make_client(attempts=2, **short)
    async with behaving(behave) as rogue:
        with pytest.raises(UpstreamError) as caught:
            await client.request("GET", rogue.url)
        await fulfilled(lambda: rogue.open == 0)

    assert (type(caught.value), caught.value.reason) == (kind, reason)
    assert rogue.requests == 2


async def test_nobody_who_listens_is_unavailable(make_client):
    """A POST too is tried again: nothing was sent."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/"
        with pytest.raises(UpstreamUnavailable) as caught:
            await make_client().request("POST", url)

    assert caught.value.reason == "connect"


async def test_body_that_breaks_off_in_a_stream_is_an_error(make_client):
    """What came before it was given."""
    cut = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nxx"
    came = []

    async def read(url):
        async with make_client().stream("GET", url) as answer:
            async for chunk in answer.chunks(raw=True):
                came.append(chunk)  # noqa: PERF401 - the last one raises

    async with behaving(answering(cut, then_close=True)) as rogue:
        with pytest.raises(InvalidAnswer):
            await read(rogue.url)

    assert b"".join(came) == b"xx"


async def test_redirects_in_a_circle_come_to_an_end(make_client):
    """After as many as are allowed."""
    assert await requests_until(TooManyRedirects, make_client(), b"/again") == 6


async def test_redirect_to_what_is_no_url_is_an_answer_that_is_wrong(make_client):
    """It is the server's mistake, and no crash."""
    await requests_until(InvalidAnswer, make_client(), b"http://[x")


async def requests_until(error, client: Client, place: bytes) -> int:
    """Return how many redirects to *place* are followed, at most 5, before *error*."""
    found = b"HTTP/1.1 302 Found\r\nlocation: %b\r\ncontent-length: 0\r\n\r\n" % place
    async with behaving(answering(found)) as rogue:
        with pytest.raises(error):
            async with following(client, "GET", rogue.url, most=5):
                pass
    return rogue.requests


async def test_redirect_to_another_origin_takes_no_credentials_along(make_client):
    """What was meant for the first is not told to the second; POST becomes GET."""
    heads = []

    async def note(peer):
        heads.append(peer.head)
        await peer.send(OK)

    async with behaving(note) as second:
        place = f"HTTP/1.1 303 See Other\r\nlocation: {second.url}/x\r\n"
        answer = place.encode() + b"content-length: 0\r\n\r\n"
        async with behaving(answering(answer)) as first:
            options = {"headers": {"Authorization": "Bearer s", "x-kept": "1"}}
            options["content"] = b"body"
            async with following(
                make_client(), "POST", first.url, most=5, **options
            ) as last:
                await last.read()
    head = heads[0].lower()

    assert head.startswith(b"get /x ")
    assert b"authorization" not in head
    assert b"content-length" not in head
    assert b"x-kept: 1" in head


async def test_connection_is_used_again(make_client):
    """Ten calls, one connection; a stream that is left early costs its own."""
    client = make_client()
    async with behaving(answering(OK)) as rogue:
        for _ in range(10):
            await client.request("GET", rogue.url)
        reused = rogue.connections
        async with client.stream("GET", rogue.url):
            pass
        await fulfilled(lambda: rogue.open == 0)
        await client.request("GET", rogue.url)

    assert reused == 1
    assert rogue.connections == 2


async def test_connection_that_the_server_gave_up_harms_no_call(make_client):
    """Neither a GET nor a POST meets it."""
    client = make_client()
    async with behaving(answering(OK, then_close=True)) as rogue:
        for method in ("GET", "POST", "GET", "POST"):
            assert (await client.request(method, rogue.url)).attempts == 1
            await fulfilled(lambda: rogue.open == 0)


async def test_thousand_calls_at_once_are_all_answered(make_client):
    """By as many connections as there may be."""
    client = make_client(pool_timeout=LIMIT, max_connections=50)
    async with behaving(answering(OK)) as rogue:
        answers = await asyncio.gather(
            *(client.request("GET", rogue.url) for _ in range(1000))
        )

    assert {answer.status for answer in answers} == {200}
    assert rogue.requests == 1000
    assert rogue.connections <= 50


@pytest.mark.parametrize("way", ["cancelled", "timed out"])
async def test_calls_that_are_cut_leave_no_connection_behind(way, make_client):
    """The server sees each one end, and the pool has room for the next call."""

    async def hang_or_answer(peer):
        await (peer.send(OK) if peer.path == "/ok" else hang(peer))

    client = make_client(
        max_connections=20, pool_timeout=LIMIT, breaker=False, attempts=1
    )
    async with behaving(hang_or_answer) as rogue:
        seconds = 1.0 if way == "timed out" else LIMIT
        calls = [
            asyncio.create_task(client.request("GET", rogue.url, timeout=seconds))
            for _ in range(60)
        ]
        await fulfilled(lambda: rogue.connections >= 20)
        if way == "cancelled":
            for call in calls:
                call.cancel()
        ends = await asyncio.gather(*calls, return_exceptions=True)
        await fulfilled(lambda: rogue.open == 0)
        answers = await asyncio.gather(
            *(client.request("GET", f"{rogue.url}/ok") for _ in range(40))
        )
        kind = asyncio.CancelledError if way == "cancelled" else UpstreamTimeout

        assert {type(end) for end in ends} == {kind}
        assert {answer.status for answer in answers} == {200}


async def test_closed_client_leaves_no_connection(make_client):
    """Idle ones are closed too."""
    client = make_client()
    async with behaving(answering(OK)) as rogue:
        await client.request("GET", rogue.url)
        open_before = rogue.open
        await client.close()
        await fulfilled(lambda: rogue.open == 0)

    assert open_before == 1


async def test_body_is_sent_piece_by_piece(make_client):
    """In chunks, and once."""
    bodies = []

    async def take(peer):
        bodies.append(await peer.reader.readuntil(b"0\r\n\r\n"))
        await peer.send(OK)

    async def pieces():
        yield b"one"
        yield b"two"

    async with behaving(take) as rogue:
        answer = await make_client().request("POST", rogue.url, content=pieces())

    assert answer.status == 200
    assert bodies == [b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"]


async def test_endpoint_that_is_away_costs_no_call(make_client):
    """Each call finds the one that answers, and soon only it is asked."""

    class Known:
        def __init__(self, *ports):
            self._all = tuple(Endpoint("127.0.0.1", port) for port in ports)

        def endpoints(self, _service):
            return self._all

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        away = sock.getsockname()[1]
        async with behaving(answering(OK)) as rogue:
            client = make_client(Balancer(Known(rogue.port, away)))
            statuses = [
                (await client.request("GET", "service://shop/")).status
                for _ in range(50)
            ]

    assert set(statuses) == {200}
    assert rogue.requests == 50


def context_of(authority: Authority, folder: Path, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(*names).write(folder))
    return context


@pytest.mark.parametrize(
    ("trusted", "names", "reason"),
    [
        pytest.param(True, ["127.0.0.1"], None, id="right"),
        pytest.param(False, ["127.0.0.1"], "certificate", id="wrong authority"),
        pytest.param(True, ["elsewhere.example"], "certificate", id="wrong name"),
    ],
)
async def test_certificate_decides(trusted, names, reason, tmp_path, make_client):
    """A wrong one is told as such, and is not tried again."""
    authority = Authority()
    ca = tmp_path / "ca.pem"
    ca.write_text((authority if trusted else Authority()).pem)
    client = make_client(ca_file=ca)
    tls = context_of(authority, tmp_path, *names)
    found = None
    async with behaving(answering(OK), tls=tls) as rogue:
        try:
            await client.request("GET", f"https://127.0.0.1:{rogue.port}/")
        except UpstreamUnavailable as error:
            found = error.reason

    assert found == reason
    assert rogue.requests == (reason is None)


async def test_tls_with_a_server_that_speaks_none_is_no_connection(make_client):
    """The handshake fails."""
    async with behaving(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as rogue:
        with pytest.raises(UpstreamError) as caught:
            await make_client(attempts=1, connect_timeout=0.5).request(
                "GET", f"https://127.0.0.1:{rogue.port}/"
            )

    assert caught.value.reason in {"connect", "connect_timeout"}
