"""Where a name leads, and where nothing may be sent to."""

import asyncio
import socket

import pytest

from service.proxy.failures import ForbiddenAddress
from service.proxy.places import allowed_addresses, networks_of
from service.proxy.pool import Pool, PoolLimits
from service.settings.proxy import FORBIDDEN, ProxySettings
from tests.support.recording_upstream import recording_upstream
from tests.support.waiting import until

DEFAULT = networks_of(FORBIDDEN)
LOOPBACK = networks_of(["127.0.0.0/8", "::1/128"])


class Lying(asyncio.SelectorEventLoop):
    """A loop whose DNS answers something else each time."""

    def __init__(self, *answers):
        super().__init__()
        self.answers = list(answers)

    async def getaddrinfo(self, host, port, **options):
        found = self.answers.pop(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in found]


def asked(host, forbidden, *answers):
    with asyncio.Runner(loop_factory=lambda: Lying(*answers)) as runner:
        return runner.run(allowed_addresses(host, 80, forbidden=forbidden))


@pytest.mark.parametrize(
    ("address", "forbidden"),
    [
        ("169.254.169.254", DEFAULT),
        ("fe80::1", DEFAULT),
        ("fd00:ec2::254", DEFAULT),
        ("0.0.0.0", DEFAULT),
        ("::", DEFAULT),
        ("::ffff:169.254.169.254", DEFAULT),
        ("127.0.0.1", LOOPBACK),
        ("::1", LOOPBACK),
    ],
)
def test_forbidden_address_is_none_to_connect_to(address, forbidden):
    """By whatever name, and as an endpoint too (row 61)."""
    with pytest.raises(ForbiddenAddress):
        asked(address, forbidden)
    with pytest.raises(ForbiddenAddress, match="metadata"):
        asked("metadata.example", forbidden, [address])


def test_number_that_is_no_address_is_a_name():
    """0x7f000001 means 127.0.0.1 to many a resolver, and is looked at as such."""
    with pytest.raises(ForbiddenAddress):
        asked("0x7f000001", LOOPBACK, ["127.0.0.1"])


def test_other_addresses_of_a_name_are_left():
    """In their order, each once."""
    answer = ["10.0.0.2", "169.254.169.254", "10.0.0.1", "10.0.0.2"]

    assert asked("shop", DEFAULT, answer) == ["10.0.0.2", "10.0.0.1"]
    assert asked("10.0.0.1", DEFAULT) == ["10.0.0.1"]


def test_connection_goes_to_the_address_that_was_looked_at():
    """A name whose answer changes is asked once for each connection (row 61)."""

    async def connect(port):
        pool = Pool(
            "rebinding.example",
            port,
            forbidden=lambda: networks_of(["127.0.0.2/32"]),
            limits=lambda: PoolLimits(10, 0, 65_536),
            observe=lambda _reused: None,
        )
        connection = await pool.take(connect=10)
        peer = connection.transport.get_extra_info("peername")
        with pytest.raises(ForbiddenAddress):
            await pool.take(connect=10)
        pool.abort()
        return peer[0]

    def loop():
        return Lying(["127.0.0.2", "127.0.0.1"], ["127.0.0.2"])

    with recording_upstream() as upstream, asyncio.Runner(loop_factory=loop) as runner:
        peer = runner.run(connect(upstream.port))
        until(lambda: upstream.connections == 1)

    assert peer == "127.0.0.1"


@pytest.mark.parametrize("text", ["10.0.0.1/8", "nowhere", "300.0.0.0/8"])
def test_what_is_no_network_is_refused(text):
    """With the key, before anything is served."""
    with pytest.raises(ValueError, match="forbidden_networks"):
        ProxySettings(forbidden_networks=[text])
