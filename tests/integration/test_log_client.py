"""The client of the log service, against services that stop, die and come back."""

import asyncio
import contextlib
import itertools
import signal
import socket

import pytest

from service.commitlog import Record
from service.commitlog.errors import (
    LogUnreachable,
    OffsetOutOfRange,
    OutcomeUnknown,
    RecordTooLarge,
)
from service.log_api.errors import CallRefused, Reason
from service.log_client.client import LogClient
from service.log_client.options import ChannelOptions
from service.resilience.retry import RetryBudget
from tests.support.log_restarts import Restarted
from tests.support.log_service import PORT, serving_log
from tests.support.process import LIMIT
from tests.support.programs import free_port


def address(service):
    return f"127.0.0.1:{service.ports[PORT]}"


async def source(*batches):
    for batch in batches:
        yield [Record(each) for each in batch]


async def collect(batches, count):
    """The first *count* records."""
    found = []
    async with asyncio.timeout(4 * LIMIT), contextlib.aclosing(batches):
        async for batch in batches:
            found += batch
            if len(found) >= count:
                return found
    raise AssertionError(f"ended after {len(found)}")


async def test_produced_records_are_consumed_as_they_were(tmp_path):
    """Keys, headers and bytes; one by one, in a range, followed."""
    records = [
        Record(b"\x00\xff", key=b"", headers=(("a", b"1"), ("a", b"\xfe"))),
        Record(b""),
    ]
    with serving_log(tmp_path / "log") as service:
        async with LogClient(address(service)) as log:
            first = await log.produce(records)
            second = await log.produce(records[1:])
            one = await log.consume(1, max_records=1)
            ranged = [batch async for batch in log.between(0)]
            followed = await collect(log.follow(0), 3)
            offsets = await log.offsets()
            at = await log.offset_at(ranged[0][0].timestamp)

    [everything] = ranged
    assert (first, second, tuple(offsets), at) == (0, 2, (0, 3), 0)
    assert [each[:3] for each in everything[:2]] == [each[:3] for each in records]
    assert everything == followed
    assert everything[1:2] == one


async def test_failures_of_the_service_come_as_it_raised_them(tmp_path):
    """Typed, with what they tell; nobody there is told at once."""
    with serving_log(tmp_path / "log", policy__max_record_bytes=100) as service:
        async with LogClient(address(service)) as log:
            with pytest.raises(OffsetOutOfRange) as caught:
                await log.consume(7)
            with pytest.raises(RecordTooLarge):
                await log.produce([Record(b"x" * 101)])
        async with LogClient(address(service), stream="other") as log:
            with pytest.raises(CallRefused) as unknown:
                await log.offsets()
    async with LogClient(f"127.0.0.1:{free_port()}", attempts=2) as log:
        with pytest.raises(LogUnreachable, match="refused"):
            await log.produce([Record(b"x")])

    assert (caught.value.offset, caught.value.next_offset) == (7, 0)
    assert unknown.value.reason is Reason.UNKNOWN_STREAM


async def test_streamed_batches_are_acknowledged_in_their_order(tmp_path):
    """Empty ones are left out; a source that fails is told after what it gave."""

    async def failing():
        yield [Record(b"kept")]
        raise LookupError("the source is broken")

    with serving_log(tmp_path / "log") as service:
        async with LogClient(address(service)) as log:
            batches = source([b"a", b"b"], [], *[[b"%d" % n] for n in range(500)])
            stream = log.produce_stream(batches, window_bytes=64)
            offsets = [(each.offset, each.count) async for each in stream]
            broken = log.produce_stream(failing())
            last = await anext(broken)
            with pytest.raises(LookupError):
                await anext(broken)

    assert offsets == [(0, 2), *[(n, 1) for n in range(2, 502)]]
    assert last.offset == 502


async def test_no_more_is_taken_than_the_window_has_room_for():
    """A source of any length needs the memory of a window."""
    taken = itertools.count()

    async def endless():
        while True:
            next(taken)
            yield [Record(b"x" * 1000)]

    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        host, port = silent.getsockname()
        options = ChannelOptions(connect_timeout=0.2)
        target = f"{host}:{port}"
        async with LogClient(target, options=options, resumptions=2) as log:
            with pytest.raises(LogUnreachable):
                async for _ in log.produce_stream(endless()):
                    pass

    assert next(taken) == 0, "nothing is taken without a connection"


KILL, DRAIN = signal.SIGKILL, signal.SIGTERM


@pytest.mark.parametrize(
    "endings",
    [
        pytest.param([KILL, DRAIN], id="killed and drained"),
        pytest.param(
            [KILL, KILL, KILL, DRAIN, DRAIN, DRAIN],
            id="three times each",
            marks=pytest.mark.soak,
        ),
    ],
)
async def test_follower_misses_nothing_and_gets_nothing_twice(tmp_path, endings):
    """The service ends again and again, killed or drained, while it is followed."""
    count = 20 * (len(endings) + 1)
    values = iter([b"%d" % n for n in range(count)])
    async with Restarted(tmp_path / "log") as restarted:
        patient = {"deadline": LIMIT, "attempts": 50, "budget": RetryBudget(burst=300)}
        async with LogClient(restarted.address, **patient) as log:
            following = asyncio.create_task(collect(log.follow(0), count))
            for ending in [*endings, None]:
                for value in itertools.islice(values, 20):
                    await log.produce([Record(value)])
                if ending is not None:
                    await restarted.end(ending)
                    await restarted.start()
            found = await following

    assert [each.offset for each in found] == list(range(count))
    assert [each.value for each in found] == [b"%d" % n for n in range(count)]


async def test_streaming_producer_goes_on_after_a_drain(tmp_path):
    """What was not acknowledged is sent again: each record is there once, in order."""
    go = asyncio.Event()

    async def slowly():
        for n in range(60):
            if n == 30:
                await go.wait()
            yield [Record(b"%d" % n)]

    async with Restarted(tmp_path / "log") as restarted:
        async with LogClient(restarted.address) as log:
            count = 0
            async for each in log.produce_stream(slowly()):
                count += each.count
                if count == 30:
                    await restarted.end(signal.SIGTERM)
                    go.set()
                    await restarted.start()
            stored = [r.value async for batch in log.between(0) for r in batch]

    assert (count, stored) == (60, [b"%d" % n for n in range(60)])


class Cut:
    """Forwards to a service, and keeps what it answers from a moment on."""

    def __init__(self, port):
        self.port = port
        self.mute = False

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self._writers = []
        return self

    async def __aexit__(self, *_):
        self.cut()
        self._server.close()

    def cut(self):
        for each in self._writers:
            each.transport.abort()
        self._writers.clear()

    async def _serve(self, reader, writer):
        far_reader, far = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers += [writer, far]
        await asyncio.gather(
            self._pump(reader, far), self._pump(far_reader, writer, answers=True)
        )

    async def _pump(self, reader, writer, *, answers=False):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if not (answers and self.mute):
                    writer.write(data)
                    await writer.drain()


@pytest.mark.parametrize("if_unknown", ["raise", "again"])
async def test_produce_without_an_answer_is_not_repeated_unless_told(
    tmp_path, if_unknown
):
    """It is stored, and its answer lost: once, or twice if the caller wants."""
    with serving_log(tmp_path / "log") as service:
        async with (
            Cut(service.ports[PORT]) as between,
            LogClient(between.address, if_unknown=if_unknown) as log,
            LogClient(address(service)) as direct,
        ):
            await log.produce([Record(b"before")])
            between.mute = True
            call = asyncio.create_task(log.produce([Record(b"x")]))
            async with asyncio.timeout(LIMIT):
                while (await direct.offsets()).next < 2:
                    await asyncio.sleep(0.01)
            between.mute = False
            between.cut()
            if if_unknown == "raise":
                with pytest.raises(OutcomeUnknown):
                    await call
            else:
                assert await call == 2
            await log.offsets()  # by a new connection: the old one may look alive yet
            await log.produce([Record(b"after")])
            stored = [r.value async for batch in direct.between(0) for r in batch]

    twice = [b"x"] * (1 if if_unknown == "raise" else 2)
    assert stored == [b"before", *twice, b"after"]
