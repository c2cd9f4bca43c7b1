"""What clients are told when the log fails, and what becomes of their appends."""

import asyncio
from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry

from service.commitlog import MemoryLog, Policy, Record
from service.commitlog.errors import (
    BadRecords,
    LogBusy,
    LogClosed,
    LogDamaged,
    LogFull,
    LogUnreachable,
    OutcomeUnknown,
    RecordTooLarge,
    WritesRefused,
)
from service.log_service.access import OpenAccess
from service.log_service.http.assembly import log_http
from service.observability.commitlog_metrics import CommitLogMetrics
from service.settings.log_http import LogHttpSettings
from service.settings.log_service import LogLimitSettings, LogServiceSettings
from tests.support.asgi import application, client
from tests.support.log_http import RECORDS, body

SECRET = "/var/lib/secret"


class FailingLog(MemoryLog):
    """Fails as it is told, or waits until it may go on."""

    def __init__(self) -> None:
        super().__init__(Policy())
        self.failure: Exception | None = None
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def append(self, records: Sequence[Record]) -> int:
        await self.go_on.wait()
        if self.failure is not None:
            raise self.failure
        return await super().append(records)


@pytest.fixture
def log():
    return FailingLog()


@pytest.fixture
async def api(log):
    settings = LogServiceSettings(
        limits=LogLimitSettings(timeout=0.2), http=LogHttpSettings(enabled=True)
    )
    streams = Streams({"records": log})
    feature = log_http(streams, settings=lambda: settings, access=OpenAccess())
    async with client(application(*feature.routes)) as found:
        yield found


class Streams(dict):
    """Logs by name, with what measures them."""

    metrics = CommitLogMetrics(CollectorRegistry())


@pytest.mark.parametrize(
    ("failure", "status", "reason", "outcome"),
    [
        (WritesRefused(SECRET), 503, "writes_refused", "unknown"),
        (OutcomeUnknown(SECRET), 503, "outcome_unknown", "unknown"),
        (LogBusy(SECRET), 503, "log_busy", "not_stored"),
        (LogUnreachable(SECRET), 503, "log_unreachable", "not_stored"),
        (LogFull(SECRET), 503, "log_full", "not_stored"),
        (LogClosed(SECRET), 503, "log_closed", "not_stored"),
        (RecordTooLarge(SECRET), 413, "record_too_large", "not_stored"),
        (LogDamaged(SECRET, 0, SECRET), 500, "log_damaged", "not_stored"),
        (ValueError(SECRET), 422, "invalid_request", "not_stored"),
    ],
)
async def test_failed_append_tells_whether_it_may_be_stored(
    api, log, failure, status, reason, outcome
):
    """The reason and the outcome, when to come again, and nothing of our files."""
    log.failure = failure

    answer = await api.post(RECORDS, json=body("a"))

    assert answer.status_code == status
    assert answer.json()["reason"] == reason
    assert answer.json()["outcome"] == outcome
    assert ("retry-after" in answer.headers) == (status == 503)
    assert SECRET not in answer.text


async def test_records_that_no_log_takes_are_told_what_is_wrong(api, log):
    """Ids and headers have rules; the client gets the one that it broke."""
    log.failure = BadRecords("Nats-Msg-Id is wrong")
    answer = await api.post(RECORDS, json=body("a"))

    assert answer.status_code == 422
    assert answer.json()["detail"].endswith(": Nats-Msg-Id is wrong.")


async def test_very_many_headers_are_refused_before_they_are_made(api, log):
    """Each takes a few bytes to send, and many to keep."""
    record = body("a") | {"headers": [{}] * 40_000}
    answer = await api.post(RECORDS, json={"records": [record, record]})

    assert answer.status_code == 422
    assert "65535, of all records together" in answer.json()["detail"]
    assert log.offsets().next == 0


async def test_append_that_takes_too_long_goes_on_under_its_key(api, log):
    """504 with an unknown outcome; the same key leads to the one offset there is."""
    log.go_on.clear()
    headers = {"idempotency-key": "one"}
    slow = await api.post(RECORDS, json=body("a"), headers=headers)
    early = await api.post(RECORDS, json=body("a"), headers=headers)
    log.go_on.set()
    await asyncio.sleep(0)
    later = await api.post(RECORDS, json=body("a"), headers=headers)

    assert (slow.status_code, slow.json()["outcome"]) == (504, "unknown")
    assert early.status_code == 409
    assert (later.status_code, later.json()["offset"]) == (201, 0)
    assert later.headers["idempotent-replayed"] == "true"
    assert log.offsets().next == 1


async def test_failed_append_may_be_sent_again_with_its_key(api, log):
    """A failure is not kept."""
    headers = {"idempotency-key": "two"}
    log.failure = LogFull(SECRET)
    await api.post(RECORDS, json=body("a"), headers=headers)
    log.failure = None

    answer = await api.post(RECORDS, json=body("a"), headers=headers)

    assert answer.status_code == 201
    assert "idempotent-replayed" not in answer.headers


async def test_record_of_memory_is_asked_for_again(api):
    """After a restart another record may have the offset."""
    settings = LogServiceSettings(store="memory", http=LogHttpSettings(enabled=True))
    streams = Streams({"records": MemoryLog(Policy())})
    feature = log_http(streams, settings=lambda: settings, access=OpenAccess())
    async with client(application(*feature.routes)) as memory:
        await memory.post(RECORDS, json=body("a"))
        answer = await memory.get(f"{RECORDS}/0")

    assert answer.headers["cache-control"] == "no-cache"
