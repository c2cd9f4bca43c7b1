"""Reading from the lowest offset on while retention raises it."""

import asyncio
import contextlib
from functools import partial

import pytest
from prometheus_client import CollectorRegistry

from service.commitlog import MemoryLog, Policy, Record
from service.commitlog.errors import OffsetOutOfRange
from service.commitlog.protocol import Offsets
from service.commitlog.reading import followed, from_lowest
from service.log_service.access import OpenAccess
from service.log_service.http.assembly import log_http
from service.observability.commitlog_metrics import CommitLogMetrics
from service.settings.log_http import LogHttpSettings
from service.settings.log_service import LogServiceSettings
from tests.support.asgi import application, client
from tests.support.log_http import RECORDS


class LaggingLog:
    """Knows of the lowest offset what it was at first, as a log of others' servers."""

    def __init__(self) -> None:
        self.log = MemoryLog(Policy(retention_bytes=400))
        self.read, self.follow = self.log.read, self.log.follow

    def offsets(self) -> Offsets:
        return Offsets(0, self.log.offsets().next)

    async def fresh_offsets(self) -> Offsets:
        return self.offsets()


class Streams(dict):
    """Logs by name, with what measures them."""

    def __init__(self, log) -> None:
        super().__init__(records=log)
        self.registry = CollectorRegistry()
        self.metrics = CommitLogMetrics(self.registry)

    @property
    def consumed(self) -> float | None:
        labels = {"stream": "records", "action": "consume"}
        name = "httpserver_commitlog_records_total"
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
async def log():
    made = LaggingLog()
    for number in range(20):
        await made.log.append([Record(b"%d" % number)])
    return made


@pytest.fixture
def streams(log):
    return Streams(log)


@pytest.fixture
def feature(streams):
    settings = LogServiceSettings(http=LogHttpSettings(enabled=True))
    return log_http(streams, settings=lambda: settings, access=OpenAccess())


@pytest.fixture
async def api(feature):
    async with client(application(*feature.routes)) as found:
        yield found


@pytest.mark.parametrize("query", ["", "?from=lowest"])
async def test_reader_that_names_no_number_gets_what_there_is(api, log, query):
    """The record that was the lowest has gone meanwhile: the next one is."""
    answer = await api.get(RECORDS + query)
    lowest = log.log.offsets().lowest

    assert answer.status_code == 200
    assert [each["offset"] for each in answer.json()["records"]] == [*range(lowest, 20)]
    assert answer.json()["next_from"] == 20


async def test_reader_that_names_a_number_is_told_that_it_has_gone(api, log):
    """Records that it has not seen must not be left out without a word."""
    answer = await api.get(RECORDS + "?from=0")

    assert answer.status_code == 410
    assert answer.json()["lowest"] == log.log.offsets().lowest


async def test_page_shows_what_there_is(api, log):
    """Not that something has gone; nor a way to older ones, which have."""
    answer = await api.get("/log")
    lowest = log.log.offsets().lowest

    assert answer.status_code == 200
    assert f'<dd id="lowest">{lowest}</dd>' in answer.text
    assert f"{20 - lowest} records" in answer.text
    assert "Older" not in answer.text


async def test_events_from_the_lowest_record_begin_with_what_there_is(
    api, feature, streams, log
):
    """The stream is not ended because the record has gone."""
    waiting = asyncio.create_task(api.get(RECORDS + "/follow?from=lowest"))
    async with asyncio.timeout(60):
        while not streams.consumed:
            await asyncio.sleep(0.01)
    (followers,) = feature.parts
    await followers.finish(grace=0.0)
    lines = (await waiting).text.splitlines()
    ids = [int(line.removeprefix("id: ")) for line in lines if line.startswith("id")]

    assert ids == [*range(log.log.offsets().lowest, 20)]
    assert 'data: {"reason":"stopping"}' in lines


async def test_follower_begins_with_what_there_is(log):
    """Later it is told what it has missed."""
    batches = from_lowest(partial(followed, log), 0)
    lowest = log.log.offsets().lowest
    first = await anext(batches)
    for _ in range(20):
        await log.log.append([Record(b"more")])

    assert [each.offset for each in first] == [*range(lowest, 20)]
    with contextlib.suppress(StopAsyncIteration), pytest.raises(OffsetOutOfRange):
        await anext(batches)
