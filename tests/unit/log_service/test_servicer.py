"""The calls over logs that fail, hang and are wrong: what clients are told of it."""

import asyncio

import grpc
import pytest

from service.commitlog import MemoryLog, Policy
from service.commitlog.errors import (
    CommitLogError,
    LogBusy,
    LogFull,
    WritesRefused,
)
from service.log_api.errors import Reason, error_of
from service.log_api.v1 import log_pb2
from service.settings.log_service import LogLimitSettings
from tests.support.log import logged
from tests.support.log_service import (
    consume_all,
    failure_of,
    local_service,
    reason_of,
    record,
    values_of,
)
from tests.support.process import LIMIT

PRODUCE = log_pb2.ProduceRequest(records=[record(b"x")])


class FailingLog(MemoryLog):
    """Raises what it is told to at each append from the one of *after* on."""

    def __init__(self, error, *, after=0):
        super().__init__()
        self.error, self.after, self.appends = error, after, 0

    async def append(self, records):
        self.appends += 1
        if self.appends > self.after:
            raise self.error
        return await super().append(records)


class HangingLog(MemoryLog):
    """Acknowledges nothing."""

    async def append(self, records):
        await asyncio.Event().wait()


async def test_exception_that_nobody_expected_tells_the_client_an_id_alone():
    """INTERNAL without any text of it; the log has it, once, under the same id."""
    with logged() as log:
        async with local_service(FailingLog(RuntimeError("secret"))) as (stub, _):
            metadata = (("x-request-id", "abc"),)
            failure = await failure_of(stub.Produce(PRODUCE, metadata=metadata))
    told = f"{failure.details()} {failure.trailing_metadata()} {failure}"
    lines = [each for each in log.lines if "secret" in str(each)]

    assert failure.code() is grpc.StatusCode.INTERNAL
    assert reason_of(failure) is Reason.INTERNAL
    assert "secret" not in told
    assert "RuntimeError" not in told
    assert "abc" in failure.details()
    assert [(each["event"], each["request_id"]) for each in lines] == [
        ("call_failed", "abc")
    ]


async def test_exception_within_a_stream_tells_no_more():
    """Both kinds of streams."""
    log = FailingLog(RuntimeError("secret"))
    log.follow = None
    async with local_service(log) as (stub, _):
        requests = iter([log_pb2.ProduceStreamRequest(records=PRODUCE.records)])
        failures = [
            await failure_of(stub.ProduceStream(requests).read()),
            await failure_of(stub.ConsumeStream(log_pb2.ConsumeStreamRequest()).read()),
        ]

    assert [reason_of(each) for each in failures] == [Reason.INTERNAL] * 2
    assert "secret" not in str(failures)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LogFull("/data/secret: No space left"), "RESOURCE_EXHAUSTED"),
        (LogBusy("12 bytes wait"), "RESOURCE_EXHAUSTED"),
        (WritesRefused("/data/secret: Input/output error"), "UNAVAILABLE"),
    ],
    ids=["full", "busy", "sync failed"],
)
async def test_failure_of_the_disk_is_told_without_its_files(error, code):
    """By code and class; operators find the file in the log."""
    with logged() as log:
        async with local_service(FailingLog(error)) as (stub, _):
            failure = await failure_of(stub.Produce(PRODUCE))

    assert failure.code().name == code
    assert type(error_of(failure)) is type(error)
    assert "secret" not in str(failure)
    assert ("secret" in log.text) == ("secret" in str(error))


async def test_failure_that_is_of_no_known_kind_is_in_the_log():
    """As what JetStream's servers refuse: the client has the id of the line."""
    failing = FailingLog(CommitLogError("secret: the stream is sealed"))
    with logged() as log:
        async with local_service(failing) as (stub, _):
            metadata = (("x-request-id", "abc"),)
            failure = await failure_of(stub.Produce(PRODUCE, metadata=metadata))
    lines = [each for each in log.lines if "sealed" in str(each)]

    assert reason_of(failure) is Reason.INTERNAL
    assert "secret" not in str(failure)
    assert "abc" in failure.details()
    assert [(each["event"], each["request_id"]) for each in lines] == [
        ("log_failed", "abc")
    ]


async def test_closed_log_is_unavailable():
    """Nothing is stored, and another try may find it open."""
    log = MemoryLog()
    async with local_service(log) as (stub, _):
        await log.close()
        failure = await failure_of(stub.Produce(PRODUCE))

    assert failure.code() is grpc.StatusCode.UNAVAILABLE


async def test_append_that_takes_too_long_ends_by_the_services_limit():
    """A caller without a deadline does not wait for ever."""
    limits = LogLimitSettings(timeout=0.1)
    async with local_service(HangingLog(), limits=lambda: limits) as (stub, _):
        failure = await failure_of(stub.Produce(PRODUCE))

    assert failure.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert reason_of(failure) is Reason.TIMED_OUT


async def test_callers_own_deadline_counts_when_it_is_earlier():
    """And the call leaves nothing behind."""
    async with local_service(HangingLog()) as (stub, calls):
        failure = await failure_of(stub.Produce(PRODUCE, timeout=0.1))
        async with asyncio.timeout(30):
            await calls.idle(10)

    assert failure.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_requests_behind_one_that_failed_are_not_stored():
    """The disk is full for one append only: what waited behind it is refused too."""

    class FullOnce(MemoryLog):
        full = True

        async def append(self, records):
            await asyncio.sleep(0.05)
            if self.full and b"9" in [each.value for each in records]:
                self.full = False
                raise LogFull("for once")
            return await super().append(records)

    log = FullOnce()

    async def requests():
        for n in range(20):
            yield log_pb2.ProduceStreamRequest(records=[record(b"%d" % n)])
            await asyncio.sleep(0.01)
        await asyncio.Event().wait()  # the client's gRPC minds a request after the end

    acknowledged = []
    async with local_service(log) as (stub, _):
        call = stub.ProduceStream(requests())
        failure = None
        while failure is None:
            try:
                acknowledged.append((await call.read()).offset)
            except grpc.aio.AioRpcError as error:
                failure = error
        stored = values_of(await consume_all(stub))

    assert isinstance(error_of(failure), LogFull)
    assert stored == [b"%d" % n for n in range(len(acknowledged))]
    assert len(stored) < 10


async def test_requests_that_are_too_large_together_are_stored_one_by_one():
    """What fits by itself is not refused because others came with it."""

    class Slow(MemoryLog):
        refused = 0

        async def append(self, records):
            await asyncio.sleep(0.05)  # what comes meanwhile is one append
            self.refused += len(records) > 2
            return await super().append(records)

    log = Slow(Policy(max_batch_bytes=2000))
    sent = [
        log_pb2.ProduceStreamRequest(records=[record(b"x" * 900)]) for _ in range(20)
    ]
    async with local_service(log) as (stub, _):
        answers = [each.offset async for each in stub.ProduceStream(iter(sent))]

    assert answers == list(range(20))
    assert log.refused


async def test_requests_that_come_meanwhile_are_one_append():
    """A slow disk makes appends larger, not slower."""

    class Slow(MemoryLog):
        appends = 0

        async def append(self, records):
            self.appends += 1
            await asyncio.sleep(0.1)
            return await super().append(records)

    log = Slow()
    sent = [log_pb2.ProduceStreamRequest(records=[record(b"x")]) for _ in range(200)]
    async with local_service(log) as (stub, _):
        answers = [each.offset async for each in stub.ProduceStream(iter(sent))]

    assert answers == list(range(200))
    assert log.appends < 50


async def test_stream_of_requests_keeps_to_its_first_ones_stream():
    """One call, one stream: another name is the client's mistake."""
    logs = {"one": MemoryLog(), "two": MemoryLog()}
    sent = [
        log_pb2.ProduceStreamRequest(stream=name, records=[record(b"x")])
        for name in ("two", "", "one")
    ]
    async with local_service(logs) as (stub, _):
        call = stub.ProduceStream(iter(sent))
        answers = [(await call.read()).offset for _ in range(2)]
        failure = await failure_of(call.read())

    assert answers == [0, 1]
    assert failure.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert logs["two"].offsets().next == 2
    assert logs["one"].offsets().next == 0


async def test_paced_stream_is_slowed_and_not_refused():
    """Producers by stream wait for their turn."""
    limits = LogLimitSettings(rate=50, burst=1)
    sent = [log_pb2.ProduceStreamRequest(records=[record(b"x")]) for _ in range(6)]
    async with local_service(MemoryLog(), limits=lambda: limits) as (stub, _):
        began = asyncio.get_running_loop().time()
        answers = [each.offset async for each in stub.ProduceStream(iter(sent))]
        took = asyncio.get_running_loop().time() - began

    assert answers == list(range(6))
    assert took >= 0.09  # five waits of 20 ms


async def test_consumer_that_goes_lets_go_of_the_log():
    """Its follower is closed, so that retention may go on."""
    begun, closed = asyncio.Event(), asyncio.Event()

    class Watched(MemoryLog):
        async def follow(self, offset, **limits):
            begun.set()
            try:
                async for each in super().follow(offset, **limits):
                    yield each
            finally:
                closed.set()

    async with local_service(Watched()) as (stub, _):
        call = stub.ConsumeStream(log_pb2.ConsumeStreamRequest())
        async with asyncio.timeout(LIMIT):
            await begun.wait()
            call.cancel()
            await closed.wait()
