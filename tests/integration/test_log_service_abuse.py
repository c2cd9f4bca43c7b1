"""Callers of the log service that keep to no rules, and what others see of it."""

import asyncio
import contextlib

import grpc
import pytest

from service.commitlog import MemoryLog
from service.commitlog.errors import RecordTooLarge
from service.log_api.errors import Reason, error_of
from service.log_api.v1 import log_pb2
from service.log_service.messages import MOST_HEADERS, MOST_RECORDS
from service.log_service.places import MOST_UNREAD
from tests.support.log_service import (
    PORT,
    channel,
    failure_of,
    local_service,
    reason_of,
    serving_log,
)
from tests.support.scrape import await_value, resident_bytes

SERVICE = "/log.v1.LogService"
HALF = 'httpserver_grpc_calls_in_flight{method="log.v1.LogService/Produce"}'
LIMIT = 60.0
GARBAGE = b"\xff\xff\xff"


@contextlib.asynccontextmanager
async def raw_channel(port):
    """A channel whose messages are bytes, and come only when they are read."""
    options = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.http2.lookahead_bytes", 1024),
        ("grpc.http2.bdp_probe", 0),
    ]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as made:
        yield made


async def never():
    """Requests of which none comes."""
    await asyncio.Event().wait()
    yield b""


async def one(message):
    """A stream of one request."""
    yield message


METHODS = (
    f"{SERVICE}/Produce",
    f"{SERVICE}/Consume",
    f"{SERVICE}/ConsumeStream",
    f"{SERVICE}/ProduceStream",
    "/grpc.health.v1.Health/Check",
)


async def test_message_that_is_none_is_an_invalid_request(tmp_path):
    """Bytes that are no message: INVALID_ARGUMENT, and nothing of it in the log."""
    with serving_log(tmp_path) as service:
        async with raw_channel(service.ports[PORT]) as made:
            calls = [made.stream_stream(each)(one(GARBAGE)) for each in METHODS]
            failures = [await failure_of(anext(aiter(each))) for each in calls]

        for failure in failures:
            assert failure.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert reason_of(failure) is Reason.INVALID_REQUEST
            assert "protobuf" not in failure.details()
        assert not [each for each in service.log if each["level"] == "error"]


async def test_call_without_a_message_is_an_invalid_request(tmp_path):
    """A call that is ended before its request came is answered."""
    with serving_log(tmp_path) as service:
        async with raw_channel(service.ports[PORT]) as made:
            call = made.stream_stream(f"{SERVICE}/GetOffsets")(timeout=LIMIT)
            await call.done_writing()
            failure = await failure_of(anext(aiter(call)))

    assert reason_of(failure) is Reason.INVALID_REQUEST


async def test_call_whose_request_does_not_come_is_ended(tmp_path):
    """Half a call holds its place for `limits.timeout` at most."""
    with serving_log(tmp_path, limits__timeout=0.2) as service:
        async with raw_channel(service.ports[PORT]) as made:
            call = made.stream_stream(f"{SERVICE}/Produce")(never(), timeout=LIMIT)
            failure = await failure_of(anext(aiter(call)))

    assert reason_of(failure) is Reason.TIMED_OUT


async def test_half_calls_of_one_client_leave_room_for_others(tmp_path):
    """One has as many calls as it may, whatever they wait for; they come back."""
    with serving_log(tmp_path, limits__max_calls_per_client=2) as service:
        port = service.ports[PORT]
        async with raw_channel(port) as made, channel(port) as stub:
            watch = made.unary_stream("/grpc.health.v1.Health/Watch")
            watching = watch(b"", timeout=LIMIT)
            await anext(aiter(watching))
            half = made.stream_stream(f"{SERVICE}/Produce")(never(), timeout=LIMIT)
            await asyncio.to_thread(await_value, service, HALF, 1)
            offsets = stub.GetOffsets(log_pb2.GetOffsetsRequest())
            failure = await failure_of(offsets)

            watching.cancel()
            half.cancel()
            again = await taken(stub.GetOffsets, log_pb2.GetOffsetsRequest())

    assert reason_of(failure) is Reason.TOO_MANY_CALLS
    assert again.next == 0


async def taken(call, request):
    """The answer of a call, once calls are taken."""
    async with asyncio.timeout(LIMIT):
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                return await call(request)


@pytest.mark.parametrize(
    "request_",
    [
        log_pb2.ProduceRequest(records=[log_pb2.Record()] * (MOST_RECORDS + 1)),
        log_pb2.ProduceRequest(
            records=[log_pb2.Record(headers=[log_pb2.Header()] * MOST_HEADERS)] * 2
        ),
    ],
    ids=["records", "headers"],
)
async def test_request_of_very_many_records_is_too_large(request_):
    """What takes few bytes in a message and much of the service is refused."""
    log = MemoryLog()
    async with local_service(log) as (stub, _):
        failure = await failure_of(stub.Produce(request_))

    assert isinstance(error_of(failure), RecordTooLarge)
    assert log.offsets().next == 0


async def test_request_of_as_many_records_as_may_be_is_stored():
    """The limit itself is none too many."""
    request = log_pb2.ProduceRequest(records=[log_pb2.Record()] * MOST_RECORDS)
    async with local_service(MemoryLog()) as (stub, _):
        answer = await stub.Produce(request)

    assert answer.count == MOST_RECORDS


async def test_message_of_very_many_records_takes_no_memory(tmp_path):
    """It is refused before there is an object of each of its parts."""
    message = b"\x12\x00" * 2_000_000
    with serving_log(tmp_path) as service:
        before = resident_bytes(service)
        async with raw_channel(service.ports[PORT]) as made:
            call = made.stream_stream(f"{SERVICE}/Produce")(one(message))
            failure = await failure_of(anext(aiter(call)))
        after = resident_bytes(service)

    assert isinstance(error_of(failure), RecordTooLarge)
    assert after - before < 60_000_000


async def test_refused_requests_are_not_kept(tmp_path):
    """The service's memory stays what it was, however much it has refused."""
    large = log_pb2.ProduceRequest(records=[log_pb2.Record(value=bytes(3_000_000))])
    with serving_log(tmp_path) as service:
        async with channel(service.ports[PORT]) as stub:
            for _ in range(5):
                await failure_of(stub.Produce(large))
            before = resident_bytes(service)
            for _ in range(40):
                failure = await failure_of(stub.Produce(large))
            after = resident_bytes(service)

    assert isinstance(error_of(failure), RecordTooLarge)
    assert after - before < 40_000_000


async def test_answers_that_nobody_reads_are_bounded(tmp_path):
    """One client can't fill the memory with answers; it goes on once it has read."""
    large = log_pb2.ProduceRequest(records=[log_pb2.Record(value=bytes(1_000_000))])
    request, most = log_pb2.ConsumeRequest().SerializeToString(), MOST_UNREAD // 10**6
    with serving_log(tmp_path) as service:
        port = service.ports[PORT]
        async with channel(port) as stub, raw_channel(port) as made:
            await stub.Produce(large)
            consume = made.unary_stream(f"{SERVICE}/Consume")
            calls = [consume(request, timeout=LIMIT) for _ in range(60)]
            # the head of an answer is there before its message is read
            await asyncio.gather(*(each.initial_metadata() for each in calls))
            async with asyncio.timeout(LIMIT):  # a refusal may come a moment later
                while sum(not each.done() for each in calls) > most:
                    await asyncio.sleep(0.02)
            failures = [await failure_of(each.read()) for each in calls if each.done()]
            for each in calls:
                each.cancel()
            answer = await taken(stub.Consume, log_pb2.ConsumeRequest())

    assert 60 - len(failures) <= most
    assert {reason_of(each) for each in failures} == {Reason.TOO_MANY_CALLS}
    assert len(answer.records) == 1


async def test_streams_that_nobody_reads_take_little_memory(tmp_path):
    """As many as one client may have hold a small message each."""
    records = [log_pb2.Record(value=bytes(100_000))] * 30
    request = log_pb2.ConsumeStreamRequest().SerializeToString()
    with serving_log(tmp_path) as service:
        port = service.ports[PORT]
        async with channel(port) as stub, raw_channel(port) as made:
            await stub.Produce(log_pb2.ProduceRequest(records=records))
            before = resident_bytes(service)
            follow = made.unary_stream(f"{SERVICE}/ConsumeStream")
            calls = [follow(request, timeout=LIMIT) for _ in range(50)]
            first = [await each.read() for each in calls]
            after = resident_bytes(service)

    assert max(map(len, first)) < 400_000
    assert after - before < 100_000_000
