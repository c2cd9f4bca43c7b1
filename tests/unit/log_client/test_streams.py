"""Streams of a server that does what each test wants, wrong things too."""

import asyncio
import contextlib

import grpc
import pytest

from service.commitlog import Record
from service.commitlog.errors import (
    LogUnreachable,
    OffsetOutOfRange,
    OutcomeUnknown,
    RecordTooLarge,
)
from service.log_api.errors import CallRefused, Reason
from service.log_api.v1 import log_pb2
from service.log_client.errors import CallFailed
from tests.support.log_script import (
    UNAVAILABLE,
    acknowledges,
    acknowledges_all,
    cut,
    end,
    gives,
    hang,
    refused,
    served,
    source,
)
from tests.support.waiting import fulfilled


async def collect(batches, count):
    found = []
    async with contextlib.aclosing(batches):
        async for batch in batches:
            found += [each.offset for each in batch]
            if len(found) >= count:
                return found
    raise AssertionError(found)


async def test_follower_resumes_right_after_the_last_record():
    """Not before, which retention may have taken; what comes twice is left out."""
    steps = (gives([3, 4], [5], then=cut()), gives([5, 6], [7]))
    async with served(*steps) as (server, log):
        found = await collect(log.follow(3), 5)

    assert [each.offset for each in server.requests] == [3, 6]
    assert found == [3, 4, 5, 6, 7]


async def test_follower_is_told_of_a_gap():
    """A server that leaves something out is not believed."""
    async with served(gives([0, 1], [3])) as (_, log):
        with pytest.raises(CallFailed, match="offset 3 came in the place of 2"):
            await collect(log.follow(0), 3)


async def test_follower_goes_on_when_the_server_ends_the_stream():
    """It never does by itself: something in between did."""
    async with served(gives([0], then=end), gives([1])) as (server, log):
        found = await collect(log.follow(0), 2)

    assert found == [0, 1]
    assert [each.offset for each in server.requests] == [0, 1]


async def test_follower_of_a_service_that_stays_away_gives_up():
    """After its attempts in a row; one that stood begins them anew."""
    stood = [gives([n], then=cut()) for n in range(4)]
    async with served(*stood, cut(), resumptions=2) as (server, log):
        with pytest.raises(LogUnreachable):
            await collect(log.follow(0), 5)

    assert [each.offset for each in server.requests] == [0, 1, 2, 3, 4, 4]


async def test_follower_waits_for_a_server_that_lags_behind():
    """It has given the record before, so this one is to come; at first it is not."""
    lags = refused(OffsetOutOfRange(1, lowest=0, next_offset=0))
    async with served(gives([0], then=cut()), lags, gives([1])) as (_, log):
        found = await collect(log.follow(0), 2)
    async with served(lags) as (_, log):
        with pytest.raises(OffsetOutOfRange):
            await collect(log.follow(1), 1)

    assert found == [0, 1]


@pytest.mark.parametrize("way", ["closed", "cancelled"])
async def test_follower_that_is_left_leaves_the_server(way):
    """Its stream ends there too; a cancellation is not swallowed."""
    async with served(gives([0])) as (server, log):
        if way == "closed":
            await collect(log.follow(0), 1)
        else:
            task = asyncio.create_task(collect(log.follow(0), 2))
            await fulfilled(lambda: server.open)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await fulfilled(lambda: not server.open)


async def test_producer_sends_again_what_was_not_acknowledged():
    """After a refusal that stored nothing more, which comes while it still sends."""
    values = [b"%d" % n for n in range(100)]
    stopping = refused(CallRefused(Reason.STOPPING))
    received = []

    async def take(_requests, context):
        for n in range(2, len(values)):
            request = await context.read()
            received.append(request.records[0].value)
            await context.write(log_pb2.ProduceStreamResponse(offset=n, count=1))

    steps = (acknowledges(2, then=stopping), take)
    async with served(*steps) as (_, log):
        stream = log.produce_stream(source(*values))
        offsets = [each.offset async for each in stream]

    assert (offsets, received) == (list(range(100)), values[2:])


@pytest.mark.parametrize("then", [cut(), end], ids=["cut", "ended"])
async def test_producer_is_told_of_what_was_sent_and_not_acknowledged(then):
    """Also when the server ends the stream as if all were well."""
    async with served(acknowledges(1, then=then)) as (server, log):
        go = asyncio.Event()

        async def slowly():
            yield [Record(b"a")]
            yield [Record(b"b"), Record(b"c")]
            await go.wait()

        stream = log.produce_stream(slowly())
        first = await anext(stream)
        with pytest.raises(OutcomeUnknown, match="2 records"):
            await anext(stream)

    assert first.offset == 0
    assert len(server.requests) == 1


LARGER = "Received message larger than max (9 vs. 8)"
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("if_unknown", ["raise", "deduplicated", "again"])
@pytest.mark.parametrize("code", [EXHAUSTED, grpc.StatusCode.ABORTED])
async def test_producer_is_told_of_doubt_when_the_call_ends_for_one_message(
    code, if_unknown
):
    """gRPC drops the acknowledgements of those before; none is sent again."""
    step = cut(code, why=LARGER, after=3)
    async with served(step, if_unknown=if_unknown) as (server, log):
        with pytest.raises(OutcomeUnknown, match="larger than max"):
            await anext(log.produce_stream(source(b"a", b"b", b"c")))

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("code", "count", "kind"),
    [
        pytest.param(EXHAUSTED, 1, RecordTooLarge, id="the only one"),
        pytest.param(grpc.StatusCode.UNIMPLEMENTED, 3, CallFailed, id="no log"),
        pytest.param(grpc.StatusCode.UNAUTHENTICATED, 3, CallFailed, id="not let in"),
    ],
)
async def test_producer_is_told_when_nothing_is_stored_of_what_was_sent(
    code, count, kind
):
    """What was refused was alone on its way, or the call never began."""
    async with served(acknowledges(1, then=cut(code, after=count))) as (_, log):
        values = [b"x"] * count
        stream = log.produce_stream(source(b"first", *values))
        first = await anext(stream)
        with pytest.raises(kind):
            await anext(stream)

    assert first.offset == 0


async def test_producer_takes_no_more_than_its_window():
    """A server that acknowledges nothing stops the source."""
    taken = []

    async def endless():
        while True:
            taken.append(1)
            yield [Record(b"x" * 1000)]

    async with served(hang) as (server, log):
        stream = log.produce_stream(endless(), window_bytes=4_000)
        task = asyncio.create_task(anext(stream))
        await fulfilled(lambda: len(taken) >= 4)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await fulfilled(lambda: not server.open)

    assert len(taken) == 4


async def test_source_is_cancelled_with_the_stream():
    """It is not left to wait for ever."""
    left = asyncio.Event()

    async def waiting():
        yield [Record(b"a")]
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    async with served(acknowledges(1, then=hang)) as (_, log):
        stream = log.produce_stream(waiting())
        await anext(stream)
        await stream.aclose()
        await left.wait()


async def test_failure_of_the_source_is_raised_after_what_it_gave():
    """It is not taken for the end of a stream."""

    async def broken():
        yield [Record(b"a"), Record(b"b")]
        raise EOFError

    async with served(acknowledges(1, then=end)) as (_, log):
        stream = log.produce_stream(broken())
        first = await anext(stream)
        with pytest.raises(EOFError):
            await anext(stream)

    assert (first.offset, first.count) == (0, 1)


@pytest.mark.parametrize(
    "failure",
    [
        LogUnreachable("the other log"),
        OutcomeUnknown("the other log"),
        grpc.aio.AioRpcError(UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata()),
    ],
    ids=["unreachable", "unknown", "status"],
)
async def test_failure_of_a_source_that_is_a_log_too_is_not_taken_for_ours(failure):
    """Another log that is copied from: calling this one again would not mend it."""

    async def failing():
        yield [Record(b"x")]
        raise failure

    async with served(acknowledges_all) as (server, log):
        acknowledged = log.produce_stream(failing())
        first = await anext(acknowledged)
        with pytest.raises(type(failure)) as caught:
            await anext(acknowledged)

    assert caught.value is failure
    assert first.offset == 0
    assert len(server.requests) == 1


async def test_window_is_given_back_with_each_acknowledgement():
    """However small it is, all of the source goes through."""
    values = [b"%d" % n for n in range(20)]
    async with served(acknowledges(20, then=end)) as (_, log):
        stream = log.produce_stream(source(*values), window_bytes=1)
        offsets = [each.offset async for each in stream]

    assert offsets == list(range(20))
