"""What the log service takes from its clients before it refuses more."""

import asyncio
import resource

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from grpc_status import rpc_status

from service.commitlog.errors import LogFull
from service.log_api.errors import Reason, error_of
from service.log_api.v1 import log_pb2
from tests.support.log_service import (
    PORT,
    channel,
    consume_all,
    failure_of,
    health_of,
    produced,
    reason_of,
    record,
    serving_log,
    stuck_consumer,
    values_of,
)
from tests.support.process import LIMIT


async def test_client_above_its_rate_is_refused_with_a_time_to_wait(tmp_path):
    """A burst passes, then RESOURCE_EXHAUSTED; nothing of what is refused is stored."""
    with serving_log(tmp_path, limits__rate=0.01, limits__burst=3) as service:
        async with channel(service.ports[PORT]) as stub:
            offsets = [await produced(stub, b"x") for _ in range(3)]
            failure = await failure_of(
                stub.Produce(log_pb2.ProduceRequest(records=[record(b"x")]))
            )
    wait = RetryInfo()
    for each in rpc_status.from_call(failure).details:
        each.Unpack(wait)

    assert offsets == [0, 1, 2]
    assert failure.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason_of(failure) is Reason.RATE_LIMITED
    assert 0 < wait.retry_delay.seconds <= 100


async def two_consumers(stub):
    """Streams that the service has taken."""
    opened = [stub.ConsumeStream(log_pb2.ConsumeStreamRequest()) for _ in range(2)]
    for each in opened:
        await each.initial_metadata()
    return opened


async def test_client_has_no_more_streams_than_it_may(tmp_path):
    """One more is refused; one that has ended makes room."""
    with serving_log(tmp_path, limits__max_streams=2) as service:
        async with channel(service.ports[PORT]) as stub:
            opened = await two_consumers(stub)
            one_more = stub.ConsumeStream(log_pb2.ConsumeStreamRequest())
            failure = await failure_of(one_more.read())
            opened[0].cancel()
            async with asyncio.timeout(LIMIT):
                while True:
                    again = stub.ConsumeStream(log_pb2.ConsumeStreamRequest())
                    reading = asyncio.ensure_future(again.read())
                    done, _ = await asyncio.wait({reading}, timeout=0.2)
                    if not done:
                        break
                    reading.exception()
            reading.cancel()

    assert reason_of(failure) is Reason.TOO_MANY_STREAMS


async def test_no_more_calls_at_a_time_than_the_service_takes(tmp_path):
    """One more is refused at once; streams count."""
    with serving_log(tmp_path, limits__max_calls=2) as service:
        async with channel(service.ports[PORT]) as stub:
            opened = await two_consumers(stub)
            failure = await failure_of(stub.GetOffsets(log_pb2.GetOffsetsRequest()))
            health = await health_of(service.ports[PORT])
            for each in opened:
                each.cancel()

    assert failure.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason_of(failure) is Reason.TOO_MANY_CALLS
    assert health in {"SERVING", "NOT_SERVING"}  # it is told, whatever it is


async def test_full_disk_refuses_records_until_there_is_space(tmp_path):
    """RESOURCE_EXHAUSTED; all that was acknowledged is there, and it goes on."""
    with serving_log(tmp_path) as service:
        async with channel(service.ports[PORT]) as stub:
            pid, unlimited = service.process.pid, resource.RLIM_INFINITY
            values = [b"%d" % n * 1000 for n in range(9)]
            offsets = [await produced(stub, each) for each in values]
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, unlimited))
            failure = await failure_of(
                stub.Produce(log_pb2.ProduceRequest(records=[record(b"no space")]))
            )
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
            offsets.append(await produced(stub, b"space"))
            stored = values_of(await consume_all(stub))

    assert failure.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert isinstance(error_of(failure), LogFull)
    assert str(tmp_path) not in str(failure)
    assert offsets == list(range(10))
    assert stored == [*values, b"space"]


async def read_until_failure(call):
    """How many records came, and why there are no more."""
    seen = 0
    while True:
        try:
            seen += len((await call.read()).records)
        except grpc.aio.AioRpcError as failure:
            return seen, failure


async def test_consumer_that_reads_nothing_is_ended_and_may_resume(tmp_path):
    """Its stream would keep old records from retention for as long as it wants."""
    with serving_log(tmp_path, limits__slow_consumer_timeout=2) as service:
        async with channel(service.ports[PORT]) as stub:
            call = await stuck_consumer(stub)
            await asyncio.to_thread(service.await_event, "consumer_too_slow")
            seen, failure = await read_until_failure(call)
            rest = await consume_all(stub, seen)

    assert failure.code() is grpc.StatusCode.UNAVAILABLE
    assert reason_of(failure) is Reason.SLOW_CONSUMER
    assert 0 < seen < 24
    assert len(rest) == 24 - seen
