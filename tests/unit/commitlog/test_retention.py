"""What retention takes, and what it leaves to a reader."""

import asyncio
import contextlib
import errno
from pathlib import Path

import pytest

from service.commitlog import Acknowledge, Policy, Record, SegmentLog
from service.commitlog.errors import OffsetOutOfRange
from service.commitlog.files import OsFileSystem
from service.commitlog.inspection import inspect
from service.commitlog.log import Log
from tests.support.crash_files import CrashFiles

HERE = Path("log")
POLICY = Policy(segment_bytes=300, retention_bytes=900)


def _fill(log, count=30):
    for number in range(count):
        log.commit([[Record(b"%02d" % number * 10)]])


def test_oldest_segments_go_while_all_hold_too_much(tmp_path):
    """The newest records stay, offsets go on, files are gone."""
    log = Log(tmp_path, POLICY)
    _fill(log)
    low, end = log.lowest_offset, log.next_offset
    found = log.read(low, max_records=99, max_bytes=10**6, until=end)

    assert end == 30
    assert 0 < low < 30
    assert log.size_bytes <= 900 + 300
    assert [record.offset for record in found] == list(range(low, 30))
    assert len(list(tmp_path.glob("*.log"))) == log.segment_count
    log.close()
    again = Log(tmp_path, POLICY)
    assert (again.lowest_offset, again.next_offset) == (low, end)
    again.close()


def test_old_segments_go_by_age_but_the_active_one(tmp_path):
    """Nobody needs to append for it."""
    now = [1000.0]
    policy = Policy(segment_bytes=300, retention_seconds=60.0)
    log = Log(tmp_path, policy, clock=lambda: now[0])
    _fill(log)
    assert log.lowest_offset == 0
    now[0] += 61.0
    log.maintain()

    assert log.segment_count == 1
    assert log.next_offset == 30
    log.close()


def test_active_segment_rolls_by_age(tmp_path):
    """The first record of a segment is at most so old."""
    now = [1000.0]
    log = Log(tmp_path, Policy(segment_seconds=10.0), clock=lambda: now[0])
    log.commit([[Record(b"old")]])
    now[0] += 11.0
    log.commit([[Record(b"new")]])

    assert log.segment_count == 2
    log.close()


async def test_follower_keeps_what_it_was_not_given(tmp_path):
    """It gets every record; once it is gone, they go."""
    log = await SegmentLog.open(tmp_path, POLICY)
    await log.append([Record(b"00")])
    async with contextlib.aclosing(log.follow(0, max_records=1)) as batches:
        seen = [record.offset for record in await anext(batches)]
        for number in range(1, 40):
            await log.append([Record(b"%02d" % number * 10)])
        assert log.offsets().lowest == 0
        while len(seen) < 40:
            seen += [record.offset for record in await anext(batches)]
    await log.append([Record(bytes(200))])

    assert seen == list(range(40))
    assert log.offsets().lowest > 0
    await log.close()


async def test_lowest_offset_is_never_above_the_next_one():
    """Of a group that retention can't keep, segments go before it is acknowledged."""
    files, seen = CrashFiles(), []
    log = await SegmentLog.open(HERE, POLICY, files=files)
    files.fail = lambda *_: seen.append(log.offsets())
    await asyncio.gather(*(log.append([Record(bytes(200))]) for _ in range(20)))

    assert set(seen) == {(0, 0)}
    assert log.offsets().lowest > 0
    await log.close()


def test_read_of_what_went_before_it_was_acknowledged_tells_no_offset_above_the_next():
    """Who goes on at the lowest one is not refused for it."""
    log = Log(HERE, POLICY, files=CrashFiles())
    _fill(log)
    with pytest.raises(OffsetOutOfRange) as caught:
        log.read(1, max_records=1, max_bytes=1, until=2)

    assert (caught.value.lowest, caught.value.next_offset) == (2, 2)


async def test_written_records_are_synced_after_the_interval(tmp_path):
    """By the log itself, without another append."""
    now, files = [1000.0], CrashFiles()
    policy = Policy(acknowledge=Acknowledge.WRITTEN, sync_interval=5.0)
    log = Log(tmp_path, policy, files=files, clock=lambda: now[0])
    log.commit([[Record(b"soon")]])
    node = files.current[f"{0:020}.log"]
    unsynced = node.synced != bytes(node.data)
    now[0] += 5.0
    log.maintain()

    assert unsynced
    assert node.synced == bytes(node.data)


def test_mark_of_a_segment_that_went_since_is_no_damage(tmp_path):
    """It is not synced as segments go: a power cut may bring an old one back."""
    log = Log(tmp_path, POLICY)
    _fill(log, count=1)
    old = (tmp_path / "synced").read_bytes()
    _fill(log)
    low, end = log.lowest_offset, log.next_offset
    log.close()
    (tmp_path / "synced").write_bytes(old)
    found = inspect(tmp_path)
    again = Log(tmp_path, POLICY)

    assert low > 0
    assert not found.damaged
    assert (again.lowest_offset, again.next_offset) == (low, end)
    again.close()


class KeptFiles(OsFileSystem):
    """Files of which some can't be removed for a while."""

    kept: str | None = None

    def remove(self, path):
        if self.kept and path.name == self.kept:
            raise PermissionError(errno.EPERM, "Operation not permitted", str(path))
        super().remove(path)


@pytest.mark.parametrize("kind", ["log", "index"])
def test_file_that_can_not_be_removed_is_tried_again_before_any_other(tmp_path, kind):
    """Segments go from the oldest on: a later one that went first would be a gap."""
    now, files = [1000.0], KeptFiles()
    policy = Policy(segment_bytes=300, retention_seconds=60.0)
    log = Log(tmp_path, policy, files=files, clock=lambda: now[0])
    _fill(log)
    files.kept = f"{0:020}.{kind}"
    now[0] += 61.0
    for _ in range(3):
        log.maintain()
    whole = log.read(0, max_records=99, max_bytes=10**6, until=30)
    log.close()
    again = Log(tmp_path, policy, files=files, clock=lambda: now[0])
    assert again.next_offset == 30

    files.kept = None
    again.maintain()

    assert [record.offset for record in whole] == list(range(30))
    assert again.segment_count == 1
    assert len(list(tmp_path.glob("*.log"))) == 1
    again.close()


def test_file_that_can_not_be_removed_does_not_end_writing(tmp_path):
    """Too many records are kept; those that come are kept too."""
    files = KeptFiles()
    log = Log(tmp_path, POLICY, files=files)
    files.kept = f"{0:020}.log"
    _fill(log)

    assert log.commit([[Record(b"x")]]).error is None
    assert (log.lowest_offset, log.next_offset) == (0, 31)
    log.close()
