"""The log by gRPC, as a running service: what its clients get, and what they don't."""

import asyncio
import signal
from itertools import pairwise

import grpc
import httpx2
import pytest
from google.rpc.error_details_pb2 import LocalizedMessage
from grpc_status import rpc_status

from service.commitlog.errors import OffsetOutOfRange, RecordTooLarge
from service.log_api.errors import error_of
from service.log_api.v1 import log_pb2
from tests.support.log_service import (
    PORT,
    channel,
    consume_all,
    failure_of,
    health_of,
    produced,
    record,
    refusal_of,
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
        streams='["records","other"]',
    ) as running:
        yield running


@pytest.fixture
async def stub(service):
    async with channel(service.ports[PORT]) as found:
        yield found


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
    failure = await failure_of(stub.Consume(request, metadata=metadata))
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
    failure = await refusal_of(lambda: call(stub))

    assert failure.code().name == code
    assert before == await stub.GetOffsets(log_pb2.GetOffsetsRequest())


async def test_unknown_method_is_unimplemented(service):
    """A client of a newer API is told so."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.ports[PORT]}") as made:
        failure = await failure_of(made.unary_unary("/log.v1.LogService/Delete")(b""))

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
    values = [b"a", b"b", b"x" * 70_000, b"c"]
    sent = [log_pb2.ProduceStreamRequest(records=[record(each)]) for each in values]
    before, answers = 0, []

    async def last_answer():
        nonlocal before, answers
        before = (await stub.GetOffsets(log_pb2.GetOffsetsRequest())).next
        call = stub.ProduceStream(iter(sent))
        answers = [(await call.read()).offset for _ in range(2)]
        return await call.read()

    failure = await refusal_of(last_answer)

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


async def test_without_reflection_nothing_tells_the_api(tmp_path):
    """The setting takes the service away."""
    with serving_log(tmp_path, reflection="false") as service:
        address = f"127.0.0.1:{service.ports[PORT]}"
        async with grpc.aio.insecure_channel(address) as made:
            method = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
            failure = await failure_of(made.stream_stream(method)(iter([b""])).read())

    assert failure.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_log_in_memory_is_served_too(tmp_path):
    """The store is a setting; nothing is written then."""
    with serving_log(tmp_path / "none", store="memory") as service:
        async with channel(service.ports[PORT]) as stub:
            await produced(stub, b"gone soon")
            assert values_of(await consume_all(stub)) == [b"gone soon"]

    assert not (tmp_path / "none").exists()
