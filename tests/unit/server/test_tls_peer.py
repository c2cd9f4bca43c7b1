"""Who is at the other end, over real connections of both event loops."""

import asyncio
import ssl

import pytest
import uvloop

from service.server.tls import load
from service.server.tls_peer import peer_name, tls_extension
from tests.support.certificates import Authority, TlsMount, client_context

AUTHORITY = Authority()

SPIFFE = "spiffe://example.org/ns/shop/sa/cart"


class Seen(asyncio.Protocol):
    """Notes what is known of a connection when it is made."""

    def __init__(self, found):
        self.found = found
        self.lost = asyncio.Event()

    def connection_made(self, transport):
        self.found.set_result((peer_name(transport), tls_extension(transport)))
        transport.close()

    def connection_lost(self, _error):
        self.lost.set()


async def seen(context, client):
    loop = asyncio.get_running_loop()
    found = loop.create_future()
    asked = Seen(found)
    server = await loop.create_server(lambda: asked, "127.0.0.1", 0, ssl=context)
    async with server:
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address, ssl=client)
        async with asyncio.timeout(20):
            result = await found
            await reader.read()
            writer.close()
            await asked.lost.wait()
    return result


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop])
def connected(tmp_path, request):
    """Connect to a server that asks for certificates; return what it knows."""
    mount = TlsMount(tmp_path, AUTHORITY.server(), ca=AUTHORITY.pem)

    def connect(issued=None, **attributes):
        context = load(mount.settings(client_auth="optional")).context
        client = client_context(AUTHORITY, issued, **attributes)
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(seen(context, client))

    return connect


@pytest.mark.parametrize(
    ("names", "common_name", "expected"),
    [
        (("a.test", SPIFFE, "spiffe://other"), "c", SPIFFE),
        (("10.0.0.1", "a.test", "b.test"), "c", "a.test"),
        (("10.0.0.1",), "c", "c"),
        ((), "c", "c"),
        ((), "line\nbreak", None),
    ],
    ids=["uri", "dns", "address", "subject", "unprintable"],
)
def test_name_is_that_of_the_certificate(connected, names, common_name, expected):
    """First a URI, then DNS, then the subject's."""
    name, _ = connected(AUTHORITY.issue(*names, common_name=common_name))

    assert name == expected


def test_client_without_certificate_has_no_name(connected):
    """The extension says the same."""
    name, extension = connected()

    assert name is None
    assert extension["client_cert_chain"] == []
    assert extension["client_cert_name"] is None


@pytest.mark.parametrize(
    ("version", "number", "suites"),
    [("TLSv1_2", 0x0303, {0xC02B, 0xC02C, 0xCCA9}), ("TLSv1_3", 0x0304, None)],
)
def test_extension_tells_the_connection(connected, version, number, suites):
    """In the numbers of the wire, with both certificates."""
    issued = AUTHORITY.issue("a.test", common_name="client")
    _, extension = connected(issued, maximum_version=ssl.TLSVersion[version])

    assert extension["tls_version"] == number
    assert extension["cipher_suite"] in (suites or {0x1301, 0x1302, 0x1303})
    assert extension["client_cert_name"] == "CN=client"
    assert extension["client_cert_chain"] == [issued.cert]
    assert extension["server_cert"].startswith("-----BEGIN CERTIFICATE-----")
    assert extension["client_cert_error"] is None


@pytest.mark.parametrize("peer", [None, {}])
def test_no_certificate_is_no_name(peer):
    """As `getpeercert` gives it."""
    assert peer_name(peer) is None


async def test_plain_connection_has_no_extension():
    """There is nothing to tell."""
    loop = asyncio.get_running_loop()
    found = loop.create_future()
    asked = Seen(found)
    server = await loop.create_server(lambda: asked, "127.0.0.1", 0)
    async with server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await found == (None, None)
        writer.close()
        await asked.lost.wait()
