"""Connections to the log service: how many, how full, and what else comes by them."""

import asyncio
import contextlib

import grpc
import pytest

from service.log_api.v1 import log_pb2
from tests.support.log_service import (
    PORT,
    channel,
    failure_of,
    produced,
    serving_log,
)
from tests.support.process import LIMIT
from tests.support.scrape import await_resident, resident_bytes


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with serving_log(tmp_path_factory.mktemp("log")) as running:
        yield running


async def test_more_calls_than_a_connection_takes_wait_their_turn(tmp_path):
    """None is refused: the client holds back what is over the limit."""
    with serving_log(tmp_path, limits__max_calls_per_connection=4) as service:
        async with channel(service.ports[PORT]) as stub:
            work = [produced(stub, b"%d" % n) for n in range(300)]
            offsets = await asyncio.gather(*work)

    assert sorted(offsets) == list(range(300))


async def test_no_more_connections_than_the_service_takes(tmp_path):
    """One more is closed; those that are there go on."""
    with serving_log(tmp_path, limits__max_connections=2) as service:
        port = service.ports[PORT]
        async with channel(port) as first, channel(port) as second:
            await produced(first, b"x")
            await produced(second, b"x")
            async with channel(port) as third:
                failure = await failure_of(
                    third.GetOffsets(log_pb2.GetOffsetsRequest(), timeout=LIMIT)
                )
            assert await produced(first, b"x") == 2

    assert failure.code() is grpc.StatusCode.UNAVAILABLE


async def test_calls_that_are_reset_at_once_cost_next_to_nothing(service):
    """HTTP/2's rapid reset: 20,000 calls begun and cancelled by one connection."""
    before = resident_bytes(service)
    reader, writer = await asyncio.open_connection("127.0.0.1", service.ports[PORT])
    reading = asyncio.create_task(reader.read())
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + http2_frame(4, 0, 0, b""))
    with contextlib.suppress(ConnectionError):
        for number in range(1, 40_000, 2):
            writer.write(http2_frame(1, 4, number, CALL_HEAD))
            writer.write(http2_frame(3, 0, number, (8).to_bytes(4, "big")))
            await writer.drain()
    async with channel(service.ports[PORT]) as stub:
        await produced(stub, b"still there")
    writer.close()
    reading.cancel()

    await asyncio.to_thread(await_resident, service, before + 50_000_000)


def http2_frame(kind, flags, stream, payload):
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream.to_bytes(4, "big") + payload


def literal(name, value):
    """A header field as HPACK has it without a table (RFC 7541 §6.2.2)."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


CALL_HEAD = b"".join(
    literal(*each)
    for each in (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/log.v1.LogService/GetOffsets"),
        (b":authority", b"localhost"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    )
)


async def test_silent_connection_is_closed(tmp_path):
    """Who never speaks HTTP/2 holds no connection."""
    with serving_log(tmp_path, limits__handshake_timeout=1) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.ports[PORT])
        async with asyncio.timeout(LIMIT):
            while await reader.read(1024):
                continue
        writer.close()


async def test_garbage_ends_its_connection_and_nothing_else(service):
    """An HTTP/1.1 request, and bytes that are nothing."""
    for sent in (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", bytes(range(256)) * 40):
        reader, writer = await asyncio.open_connection("127.0.0.1", service.ports[PORT])
        writer.write(sent)
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(LIMIT):
                while await reader.read(65_536):
                    continue
        writer.close()

    async with channel(service.ports[PORT]) as stub:
        assert await produced(stub, b"still there") >= 0
