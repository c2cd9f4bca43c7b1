"""The log by gRPC, as a running service: what its clients get, and what they don't."""

import asyncio
import contextlib
import re
import resource
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import grpc
import httpx2
import pytest
from google.rpc.error_details_pb2 import LocalizedMessage, RetryInfo
from grpc_status import rpc_status

from service.commitlog.errors import LogFull, OffsetOutOfRange, RecordTooLarge
from service.log_api.errors import Reason, error_of
from service.log_api.v1 import log_pb2
from tests.support.log_service import (
    PORT,
    channel,
    consume_all,
    health_of,
    reason_of,
    record,
    serving_log,
    values_of,
)
from tests.support.process import LIMIT, serving


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    directory = tmp_path_factory.mktemp("log")
    with serving_log(
        directory,
        policy__max_record_bytes=65_536,
        policy__max_batch_bytes=262_144,
        limits__max_message_bytes=524_288,
        limits__handshake_timeout=1,
        streams='["records","other"]',
    ) as running:
        yield running


@pytest.fixture
async def stub(service):
    async with channel(service.ports[PORT]) as found:
        yield found


async def produced(stub, *values, stream=""):
    """Offset of the first of *values*, as records that were acknowledged."""
    records = [record(each) for each in values]
    request = log_pb2.ProduceRequest(stream=stream, records=records)
    return (await stub.Produce(request)).offset


async def code_of(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_produced_record_is_consumed_as_it_was(stub):
    """Value, key and headers come back; offset and time are the log's."""
    headers = [
        log_pb2.Header(name="trace", value=b"\x00\xff"),
        log_pb2.Header(name="trace", value=b""),
    ]
    sent = [
        log_pb2.Record(value=b"one", key=b"", headers=headers, offset=99),
        log_pb2.Record(value=b""),
    ]
    answer = await stub.Produce(log_pb2.ProduceRequest(records=sent))
    request = log_pb2.ConsumeRequest(offset=answer.offset)
    first, second = (await stub.Consume(request)).records

    assert answer.count == 2
    assert (first.value, first.key, list(first.headers)) == (b"one", b"", headers)
    assert first.HasField("key")
    assert not second.HasField("key")
    assert [first.offset, second.offset] == [answer.offset, answer.offset + 1]
    assert 0 < first.timestamp_ms <= second.timestamp_ms


async def test_consumer_gets_no_more_records_than_it_asks_for(stub):
    """Limits of records and of bytes; at least one record is there always."""
    offset = await produced(stub, *(b"x" * 1000 for _ in range(10)))
    three = log_pb2.ConsumeRequest(offset=offset, max_records=3)
    few = log_pb2.ConsumeRequest(offset=offset, max_bytes=2500)
    one = log_pb2.ConsumeRequest(offset=offset, max_bytes=1)

    assert len((await stub.Consume(three)).records) == 3
    assert len((await stub.Consume(few)).records) == 2
    assert len((await stub.Consume(one)).records) == 1


@pytest.mark.parametrize(
    ("accept", "locale", "words"),
    [
        ("", "en-US", "There is no record at offset"),
        ("zh-CN,zh;q=0.9,en;q=0.5", "zh-CN", "处没有记录"),
        ("fr, ko;q=0.2", "ko-KR", "레코드가 없습니다"),
        ("zh;q=x;;,\x7f", "en-US", "There is no record at offset"),
    ],
    ids=["none", "chinese", "second choice", "nonsense"],
)
async def test_offset_past_the_end_is_told_in_the_callers_language(
    stub, accept, locale, words
):
    """OUT_OF_RANGE with the offsets that there are, and a sentence for people."""
    end = (await stub.GetOffsets(log_pb2.GetOffsetsRequest())).next
    metadata = (("accept-language", accept.replace("\x7f", "~")),)
    request = log_pb2.ConsumeRequest(offset=end)
    failure = await code_of(stub.Consume(request, metadata=metadata))
    error, message = error_of(failure), LocalizedMessage()
    for each in rpc_status.from_call(failure).details:
        each.Unpack(message)

    assert failure.code() is grpc.StatusCode.OUT_OF_RANGE
    assert isinstance(error, OffsetOutOfRange)
    assert (error.offset, error.next_offset) == (end, end)
    assert message.locale == locale
    assert words in message.message


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda stub: stub.Produce(log_pb2.ProduceRequest()), "INVALID_ARGUMENT"),
        (
            lambda stub: stub.Produce(
                log_pb2.ProduceRequest(records=[record(b"x" * 70_000)])
            ),
            "RESOURCE_EXHAUSTED",
        ),
        (
            lambda stub: stub.Produce(
                log_pb2.ProduceRequest(records=[record(b"x" * 50_000)] * 6)
            ),
            "RESOURCE_EXHAUSTED",
        ),
        (
            lambda stub: stub.Produce(
                log_pb2.ProduceRequest(records=[record(b"x" * 600_000)])
            ),
            "RESOURCE_EXHAUSTED",
        ),
        (
            lambda stub: stub.Produce(
                log_pb2.ProduceRequest(
                    records=[record(b"", headers=[log_pb2.Header(name="n" * 66_000)])]
                )
            ),
            "INVALID_ARGUMENT",
        ),
        (
            lambda stub: stub.Consume(log_pb2.ConsumeRequest(stream="none")),
            "NOT_FOUND",
        ),
        (
            lambda stub: stub.Consume(log_pb2.ConsumeRequest(offset=2**64 - 1)),
            "OUT_OF_RANGE",
        ),
        (
            lambda stub: stub.ConsumeStream(
                log_pb2.ConsumeStreamRequest(offset=2**64 - 1)
            ).read(),
            "OUT_OF_RANGE",
        ),
        (
            lambda stub: stub.ProduceStream(
                iter([log_pb2.ProduceStreamRequest()])
            ).read(),
            "INVALID_ARGUMENT",
        ),
        (
            lambda stub: stub.ProduceStream(
                iter(
                    [log_pb2.ProduceStreamRequest(stream="none", records=[record(b"")])]
                )
            ).read(),
            "NOT_FOUND",
        ),
    ],
    ids=[
        "no records",
        "large record",
        "large batch",
        "large message",
        "long header",
        "unknown stream",
        "offset",
        "offset of a stream",
        "no records in a stream",
        "unknown stream in a stream",
    ],
)
async def test_wrong_request_is_told_what_is_wrong(stub, call, code):
    """A client's mistake is never UNKNOWN or INTERNAL, and nothing is stored."""
    before = await stub.GetOffsets(log_pb2.GetOffsetsRequest())
    failure = await code_of(call(stub))

    assert failure.code().name == code
    assert before == await stub.GetOffsets(log_pb2.GetOffsetsRequest())


async def test_unknown_method_is_unimplemented(service):
    """A client of a newer API is told so."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.ports[PORT]}") as made:
        failure = await code_of(made.unary_unary("/log.v1.LogService/Delete")(b""))

    assert failure.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_produce_stream_acknowledges_each_request_in_its_order(stub):
    """500 requests without waiting for answers: offsets without gap, in order."""

    async def requests():
        for n in range(500):
            yield log_pb2.ProduceStreamRequest(
                stream="other", records=[record(b"%d" % n)] * (1 + n % 3)
            )

    answers = [each async for each in stub.ProduceStream(requests())]
    consumed = []
    while len(consumed) < sum(each.count for each in answers):
        request = log_pb2.ConsumeRequest(
            stream="other", offset=answers[0].offset + len(consumed)
        )
        consumed += values_of((await stub.Consume(request)).records)
    wanted = [b"%d" % n for n in range(500) for _ in range(1 + n % 3)]

    assert [each.count for each in answers] == [1 + n % 3 for n in range(500)]
    assert all(
        later.offset == each.offset + each.count for each, later in pairwise(answers)
    )
    assert consumed == wanted


async def test_produce_stream_stores_nothing_behind_a_request_that_fails(stub):
    """What was acknowledged is stored; the wrong request and those after it are not."""
    before = (await stub.GetOffsets(log_pb2.GetOffsetsRequest())).next
    values = [b"a", b"b", b"x" * 70_000, b"c"]
    sent = [log_pb2.ProduceStreamRequest(records=[record(each)]) for each in values]
    call = stub.ProduceStream(iter(sent))
    answers = [(await call.read()).offset for _ in range(2)]
    failure = await code_of(call.read())

    assert isinstance(error_of(failure), RecordTooLarge)
    assert answers == [before, before + 1]
    assert values_of(await consume_all(stub, before)) == [b"a", b"b"]


async def test_consume_stream_waits_for_what_comes_and_resumes_by_offset(stub):
    """Records that are there, those that come later, and the rest by another call."""
    offset = await produced(stub, b"0", b"1")
    call = stub.ConsumeStream(log_pb2.ConsumeStreamRequest(offset=offset))
    seen = list((await call.read()).records)
    waiting = asyncio.ensure_future(call.read())
    await produced(stub, b"2")
    seen += (await asyncio.wait_for(waiting, LIMIT)).records
    call.cancel()
    await produced(stub, b"3", b"4")
    again = stub.ConsumeStream(
        log_pb2.ConsumeStreamRequest(offset=seen[-1].offset + 1, max_records=1)
    )
    seen += (await again.read()).records
    seen += (await again.read()).records
    again.cancel()

    assert values_of(seen) == [b"0", b"1", b"2", b"3", b"4"]
    assert [each.offset for each in seen] == list(range(offset, offset + 5))


async def test_offset_of_a_time_is_that_of_the_first_record_from_then_on(stub):
    """A consumer begins where it wants to by time."""
    offset = await produced(stub, b"then")
    request = log_pb2.ConsumeRequest(offset=offset, max_records=1)
    then = (await stub.Consume(request)).records[0].timestamp_ms
    asked = log_pb2.GetOffsetsRequest(timestamp_ms=then)
    late = log_pb2.GetOffsetsRequest(timestamp_ms=then + 10**9)
    found = await stub.GetOffsets(asked)
    nothing = await stub.GetOffsets(late)

    assert found.lowest <= found.offset_at_timestamp <= offset
    assert nothing.offset_at_timestamp == nothing.next


async def test_streams_are_logs_of_their_own(stub):
    """A record of one is not in the other."""
    before = await stub.GetOffsets(log_pb2.GetOffsetsRequest(stream="other"))
    await produced(stub, b"here", stream="records")

    assert before == await stub.GetOffsets(log_pb2.GetOffsetsRequest(stream="other"))


async def test_health_follows_the_service(service):
    """SERVING, as a whole and for the log service by its name."""
    port = service.ports[PORT]
    async with asyncio.timeout(LIMIT):
        while await health_of(port) != "SERVING":
            await asyncio.sleep(0.02)

    assert await health_of(port, "log.v1.LogService") == "SERVING"


async def test_calls_are_counted_and_logged(service, stub):
    """Metrics by method and code; a line with the request id that goes back."""
    metadata = (("x-request-id", "mine-1"),)
    call = stub.Produce(
        log_pb2.ProduceRequest(records=[record(b"x")]), metadata=metadata
    )
    await call
    line = service.await_event("call", request_id="mine-1")
    text = httpx2.get(f"{service.admin_url}/metrics", trust_env=False).text

    assert ("x-request-id", "mine-1") in tuple(await call.trailing_metadata())
    assert line["method"] == "log.v1.LogService/Produce"
    assert (line["code"], line["client"]) == ("OK", "127.0.0.1")
    assert 'calls_total{code="OK",method="log.v1.LogService/Produce"}' in text
    assert 'commitlog_next_offset{stream="records"}' in text


async def test_call_belongs_to_its_callers_trace(tmp_path):
    """The line of the call has the ids of its span, which is below the caller's."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    metadata = (("traceparent", f"00-{trace}-00f067aa0ba902b7-01"),)
    settings = {"server__drain_delay": 0, "log_service__enabled": "true"}
    settings |= {"log_service__store": "memory", "tracing__exporter": "console"}
    with serving(
        **settings, log_service__host="127.0.0.1", log_service__port=0
    ) as service:
        async with channel(service.ports[PORT]) as stub:
            await stub.GetOffsets(log_pb2.GetOffsetsRequest(), metadata=metadata)
        line = await asyncio.to_thread(service.await_event, "call")
        service.signal(signal.SIGTERM)
        await asyncio.to_thread(service.await_exit)
    spans = [each for each in service.log if each.get("name") == line["method"]]

    assert line["trace_id"] == trace
    assert [each["trace_id"] for each in spans] == [trace]


async def test_more_calls_than_a_connection_takes_wait_their_turn(tmp_path):
    """None is refused: the client holds back what is over the limit."""
    with serving_log(tmp_path, limits__max_calls_per_connection=4) as service:
        async with channel(service.ports[PORT]) as stub:
            work = [produced(stub, b"%d" % n) for n in range(300)]
            offsets = await asyncio.gather(*work)

    assert sorted(offsets) == list(range(300))


async def test_calls_that_are_reset_at_once_cost_next_to_nothing(service, stub):
    """HTTP/2's rapid reset: 20,000 calls begun and cancelled by one connection."""
    before = memory_of(service)
    reader, writer = await asyncio.open_connection("127.0.0.1", service.ports[PORT])
    reading = asyncio.create_task(reader.read())
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + http2_frame(4, 0, 0, b""))
    with contextlib.suppress(ConnectionError):
        for number in range(1, 40_000, 2):
            writer.write(http2_frame(1, 4, number, CALL_HEAD))
            writer.write(http2_frame(3, 0, number, (8).to_bytes(4, "big")))
            await writer.drain()
    await produced(stub, b"still there")
    writer.close()
    reading.cancel()

    assert memory_of(service) - before < 50_000_000


def memory_of(service):
    """Resident bytes of the service."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    (kilobytes,) = re.findall(r"VmRSS:\s+(\d+) kB", status)
    return int(kilobytes) * 1024


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


async def test_silent_connection_is_closed(service):
    """Who never speaks HTTP/2 holds no connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.ports[PORT])
    async with asyncio.timeout(LIMIT):
        while await reader.read(1024):
            continue
    writer.close()


async def test_garbage_ends_its_connection_and_nothing_else(service, stub):
    """An HTTP/1.1 request, and bytes that are nothing."""
    for sent in (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", bytes(range(256)) * 40):
        reader, writer = await asyncio.open_connection("127.0.0.1", service.ports[PORT])
        writer.write(sent)
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(LIMIT):
                while await reader.read(65_536):
                    continue
        writer.close()

    assert await produced(stub, b"still there") >= 0


async def test_stop_tells_streams_and_finishes_what_is_in_flight(tmp_path):
    """SIGTERM: consumers and producers get a status to go on by, nothing is cut."""
    with serving_log(tmp_path) as service:
        async with channel(service.ports[PORT]) as stub:
            await produced(stub, b"0")
            consuming = stub.ConsumeStream(log_pb2.ConsumeStreamRequest())
            seen = list((await consuming.read()).records)
            producing = stub.ProduceStream()
            await producing.write(log_pb2.ProduceStreamRequest(records=[record(b"1")]))
            acknowledged = await producing.read()
            seen += (await consuming.read()).records
            service.signal(signal.SIGTERM)
            failures = [
                await asyncio.wait_for(code_of(each.read()), LIMIT)
                for each in (consuming, producing)
            ]
        code = await asyncio.to_thread(service.await_exit)

    assert code == 0
    assert [reason_of(each) for each in failures] == [Reason.STOPPING] * 2
    assert {each.code() for each in failures} == {grpc.StatusCode.UNAVAILABLE}
    assert values_of(seen) == [b"0", b"1"]
    assert acknowledged.offset == 1
    assert not service.events("requests_cut")


async def test_drain_tells_the_health_first_and_takes_calls_until_the_stop(tmp_path):
    """During the drain delay the health says NOT_SERVING and calls still work."""
    with serving_log(tmp_path, server__drain_delay=3) as service:
        port = service.ports[PORT]
        service.signal(signal.SIGTERM)
        await asyncio.to_thread(service.await_event, "lifecycle", phase="draining")
        async with asyncio.timeout(LIMIT):
            while await health_of(port) != "NOT_SERVING":
                await asyncio.sleep(0.02)
        async with channel(port) as stub:
            offset = await produced(stub, b"late")
        code = await asyncio.to_thread(service.await_exit)

    assert offset == 0
    assert code == 0


async def test_second_service_on_the_same_log_says_why_it_does_not_start(tmp_path):
    """One writer: the other exits with a sentence, and the first one goes on."""
    with serving_log(tmp_path) as service:
        command = [sys.executable, "-m", "service", "serve", "--port", "0"]
        settings = {
            "log.format": "json",
            "server.admin.port": 0,
            "log_service.enabled": "true",
            "log_service.port": 0,
            "log_service.directory": tmp_path,
        }
        for name, value in settings.items():
            command += ["--set", f"{name}={value}"]
        second = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, timeout=LIMIT
        )
        async with channel(service.ports[PORT]) as stub:
            assert await produced(stub, b"first") == 0

    assert second.returncode == 1
    assert "another process writes to it" in second.stdout


async def test_taken_port_stops_the_start(tmp_path):
    """Two services never share a port without anybody's knowing."""
    with serving_log(tmp_path / "one") as service:
        port = service.ports[PORT]
        with (
            pytest.raises(AssertionError, match=f"listen on 127.0.0.1:{port}"),
            serving_log(tmp_path / "two", port=port),
        ):
            pass


async def test_client_above_its_rate_is_refused_with_a_time_to_wait(tmp_path):
    """A burst passes, then RESOURCE_EXHAUSTED; nothing of what is refused is stored."""
    with serving_log(tmp_path, limits__rate=0.01, limits__burst=3) as service:
        async with channel(service.ports[PORT]) as stub:
            offsets = [await produced(stub, b"x") for _ in range(3)]
            failure = await code_of(
                stub.Produce(log_pb2.ProduceRequest(records=[record(b"x")]))
            )
    wait = RetryInfo()
    for each in rpc_status.from_call(failure).details:
        each.Unpack(wait)

    assert offsets == [0, 1, 2]
    assert failure.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason_of(failure) is Reason.RATE_LIMITED
    assert 0 < wait.retry_delay.seconds <= 100


async def test_client_has_no_more_streams_than_it_may(tmp_path):
    """One more is refused; one that has ended makes room."""
    with serving_log(tmp_path, limits__max_streams=2) as service:
        async with channel(service.ports[PORT]) as stub:
            opened = [
                stub.ConsumeStream(log_pb2.ConsumeStreamRequest()) for _ in range(2)
            ]
            for each in opened:
                await each.initial_metadata()
            one_more = stub.ConsumeStream(log_pb2.ConsumeStreamRequest())
            failure = await code_of(one_more.read())
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


async def test_full_disk_refuses_records_until_there_is_space(tmp_path):
    """RESOURCE_EXHAUSTED; all that was acknowledged is there, and it goes on."""
    with serving_log(tmp_path) as service:
        async with channel(service.ports[PORT]) as stub:
            pid, unlimited = service.process.pid, resource.RLIM_INFINITY
            values = [b"%d" % n * 1000 for n in range(9)]
            offsets = [await produced(stub, each) for each in values]
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, unlimited))
            failure = await code_of(
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


async def test_no_more_calls_at_a_time_than_the_service_takes(tmp_path):
    """One more is refused at once; streams count."""
    with serving_log(tmp_path, limits__max_calls=2) as service:
        async with channel(service.ports[PORT]) as stub:
            opened = [
                stub.ConsumeStream(log_pb2.ConsumeStreamRequest()) for _ in range(2)
            ]
            for each in opened:
                await each.initial_metadata()
            failure = await code_of(stub.GetOffsets(log_pb2.GetOffsetsRequest()))
            health = await health_of(service.ports[PORT])
            for each in opened:
                each.cancel()

    assert failure.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason_of(failure) is Reason.TOO_MANY_CALLS
    assert health in {"SERVING", "NOT_SERVING"}  # it is told, whatever it is


async def test_no_more_connections_than_the_service_takes(tmp_path):
    """One more is closed; those that are there go on."""
    with serving_log(tmp_path, limits__max_connections=2) as service:
        port = service.ports[PORT]
        async with channel(port) as first, channel(port) as second:
            await produced(first, b"x")
            await produced(second, b"x")
            async with channel(port) as third:
                failure = await code_of(
                    third.GetOffsets(log_pb2.GetOffsetsRequest(), timeout=3)
                )
            assert await produced(first, b"x") == 2

    assert failure.code() in {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }


async def read_until_failure(call):
    """How many records came, and why there are no more."""
    seen = 0
    while True:
        try:
            seen += len((await call.read()).records)
        except grpc.aio.AioRpcError as failure:
            return seen, failure


async def stuck_consumer(service, stub):
    """A stream that fills the windows of HTTP/2 and is not read."""
    for _ in range(24):
        await produced(stub, b"x" * 900_000)
    call = stub.ConsumeStream(log_pb2.ConsumeStreamRequest())
    await call.initial_metadata()
    return call


async def test_consumer_that_reads_nothing_is_ended_and_may_resume(tmp_path):
    """Its stream would keep old records from retention for as long as it wants."""
    with serving_log(tmp_path, limits__slow_consumer_timeout=0.5) as service:
        async with channel(service.ports[PORT]) as stub:
            call = await stuck_consumer(service, stub)
            await asyncio.to_thread(service.await_event, "consumer_too_slow")
            seen, failure = await read_until_failure(call)
            rest = await consume_all(stub, seen)

    assert failure.code() is grpc.StatusCode.UNAVAILABLE
    assert reason_of(failure) is Reason.SLOW_CONSUMER
    assert 0 < seen < 24
    assert len(rest) == 24 - seen


async def test_consumer_that_reads_nothing_does_not_hold_up_the_stop(tmp_path):
    """It has been told, as well as can be; nothing of it is lost by the cut."""
    with serving_log(tmp_path, server__grace_period=25) as service:
        async with channel(service.ports[PORT]) as stub:
            call = await stuck_consumer(service, stub)
            service.signal(signal.SIGTERM)
            code = await asyncio.to_thread(service.await_exit, 15)
            call.cancel()

    assert code == 0


async def test_without_reflection_nothing_tells_the_api(tmp_path):
    """The setting takes the service away."""
    with serving_log(tmp_path, reflection="false") as service:
        address = f"127.0.0.1:{service.ports[PORT]}"
        async with grpc.aio.insecure_channel(address) as made:
            method = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
            failure = await code_of(made.stream_stream(method)(iter([b""])).read())

    assert failure.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_log_in_memory_is_served_too(tmp_path):
    """The store is a setting; nothing is written then."""
    with serving_log(tmp_path / "none", store="memory") as service:
        async with channel(service.ports[PORT]) as stub:
            await produced(stub, b"gone soon")
            assert values_of(await consume_all(stub)) == [b"gone soon"]

    assert not (tmp_path / "none").exists()
