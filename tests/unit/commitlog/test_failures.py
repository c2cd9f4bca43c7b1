"""Full disks, failing syncs, short writes, two writers."""

import asyncio
import errno
import random
import traceback
from pathlib import Path

import pytest

from service.commitlog import Acknowledge, Policy, Record, SegmentLog
from service.commitlog.errors import LogBusy, LogFull, LogLocked, WritesRefused
from service.commitlog.log import Log
from tests.support.crash_files import CrashFiles
from tests.support.small_disk import small_disk

HERE = Path("log")
SMALL = Policy(segment_bytes=512)


def _values(log):
    found = log.read(
        log.lowest_offset, max_records=10**6, max_bytes=10**9, until=log.next_offset
    )
    return [record.value for record in found]


def _failing(operation, code):
    def fail(called, name):
        if called == operation and name.endswith(".log"):
            raise OSError(code, "injected")

    return fail


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
async def test_failed_sync_ends_all_acknowledgements(code):
    """That append and all later ones fail; what was acknowledged can still be read."""
    files = CrashFiles()
    log = await SegmentLog.open(HERE, files=files)
    await log.append([Record(b"kept")])
    files.fail = _failing("sync", code)
    with pytest.raises(WritesRefused):
        await log.append([Record(b"doubtful")])
    files.fail = lambda *_: None
    with pytest.raises(WritesRefused):
        await log.append([Record(b"late")])

    assert log.offsets() == (0, 1)
    assert [record.value for record in await log.read(0)] == [b"kept"]
    await log.close()


async def test_refused_appends_take_no_memory():
    """However often a producer tries, the failure keeps nothing of its tries."""
    files = CrashFiles()
    log = await SegmentLog.open(HERE, files=files)
    files.fail = _failing("sync", errno.EIO)
    depths = []
    for _ in range(5):
        with pytest.raises(WritesRefused):
            await log.append([Record(b"doubtful")])
        depths.append(len(list(traceback.walk_tb(log.refused.__traceback__))))
    await log.close()

    assert depths[1:] == depths[1:2] * 4


async def test_sync_that_fails_in_the_background_is_told_without_an_append(caplog):
    """Else the service would be ready until somebody loses an append by it."""
    files, now = CrashFiles(), [1000.0]
    policy = Policy(acknowledge=Acknowledge.WRITTEN, sync_interval=0.01)
    log = await SegmentLog.open(HERE, policy, files=files, clock=lambda: now[0])
    await log.append([Record(b"doubtful")])
    files.fail = _failing("sync", errno.EIO)
    now[0] += 1.0
    async with asyncio.timeout(5):
        while log.refused is None:
            await asyncio.sleep(0.005)
    with pytest.raises(WritesRefused, match="injected"):
        await log.append([Record(b"late")])
    await log.close()

    (line,) = (each for each in caplog.records if "commitlog" in each.name)
    assert line.message == f"no record is taken: {HERE / f'{0:020}.log'}: injected"


async def test_defect_in_the_background_leaves_nobody_waiting():
    """Appends are refused, where they would wait for a task that has ended."""
    files, now = CrashFiles(), [1000.0]
    policy = Policy(acknowledge=Acknowledge.WRITTEN, sync_interval=0.01)
    log = await SegmentLog.open(HERE, policy, files=files, clock=lambda: now[0])
    await log.append([Record(b"doubtful")])

    def broken(*_arguments):
        raise RuntimeError("a defect")

    files.fail = broken
    now[0] += 1.0
    async with asyncio.timeout(5):
        while log.refused is None:
            await asyncio.sleep(0.005)
        with pytest.raises(WritesRefused, match="a defect"):
            await log.append([Record(b"late")])
        files.fail = lambda *_arguments: None
        await log.close()


async def test_restart_after_a_failed_sync_writes_the_doubtful_bytes_again():
    """The page cache calls them clean: only a new write brings them to the disk."""
    files = CrashFiles()
    log = Log(HERE, files=files)
    log.commit([[Record(b"kept")]])
    files.fail = _failing("sync", errno.EIO)
    log.commit([[Record(b"doubtful")]])
    node = files.current[f"{0:020}.log"]
    log.close()
    node.pending.clear()  # what the kernel does
    files.fail = lambda *_: None

    again = Log(HERE, files=files)
    assert _values(again) == [b"kept", b"doubtful"]
    assert node.synced == bytes(node.data)


def test_clock_that_is_set_back_does_not_put_off_the_sync():
    """An hour back would else be an hour of records that a power cut takes."""
    files, now = CrashFiles(), [10_000.0]
    policy = Policy(acknowledge=Acknowledge.WRITTEN, sync_interval=1.0)
    log = Log(HERE, policy, files=files, clock=lambda: now[0])
    node = files.current[f"{0:020}.log"]
    now[0] -= 3600
    log.commit([[Record(b"x")]])
    now[0] += 2
    log.maintain()

    assert node.synced == bytes(node.data)
    log.close()


@pytest.mark.parametrize(
    ("operation", "code", "error"),
    [
        ("write", errno.ENOSPC, LogFull),
        ("create", errno.ENOSPC, LogFull),
        ("create", errno.EMFILE, LogBusy),
        ("open", errno.ENFILE, LogBusy),
    ],
)
def test_shortage_loses_nothing_and_writing_works_once_it_is_over(
    operation, code, error
):
    """Nothing of the failed append is stored, also in the middle of a roll."""
    files = CrashFiles()
    log = Log(HERE, SMALL, files=files)
    kept, failed = [], 0
    for number in range(60):
        value = b"%03d" % number * 10
        short = number % 3 == 2
        files.fail = _failing(operation, code) if short else lambda *_: None
        files.short = number % 5 and 7
        done = log.commit([[Record(value)]])
        assert isinstance(done.error, error) or not done.error
        failed += bool(done.error)
        kept += [value] * len(done.offsets)

    files.fail = lambda *_: None
    assert _values(log) == kept
    assert failed
    assert len(kept) >= 40
    log.close()
    assert _values(Log(HERE, SMALL, files=files)) == kept


@pytest.mark.parametrize("then", [None, "remove", "sync_directory"])
def test_segment_that_could_not_be_opened_stays_away_after_a_power_cut(then):
    """It would begin at an offset that the one before it has by now."""
    files, opened = CrashFiles(), []
    log = Log(HERE, SMALL, files=files)
    log.commit([[Record(b"kept")]])

    def fail(operation, name):
        opened.extend([name] * (operation == "open"))
        if operation == "open" or (opened and operation == then):
            raise OSError(errno.EMFILE, "injected")

    files.fail = fail
    refused = [log.commit([[Record(bytes(size))]]).error for size in (500, 500)]
    files.fail = lambda *_: None

    assert all(isinstance(each, LogBusy) for each in refused)
    assert log.commit([[Record(b"small")]]).error is None
    assert _after_power_cuts(files) == {(b"kept", b"small")}


def test_failed_append_does_not_come_back_after_a_power_cut():
    """A segment that is sealed is whole on disk, without what was cut off."""
    files = CrashFiles()
    log = Log(HERE, SMALL, files=files)
    log.commit([[Record(b"kept")]])
    files.fail = _failing("write", errno.ENOSPC)
    refused = log.commit([[Record(b"refused")]]).error
    files.fail = lambda *_: None

    assert isinstance(refused, LogFull)
    assert log.commit([[Record(bytes(500))]]).error is None
    assert _after_power_cuts(files) == {(b"kept", bytes(500))}


def _after_power_cuts(files):
    """Return what logs hold after many a power cut at one time."""
    cuts = [files.crash(random.Random(seed)) for seed in range(40)]
    return {tuple(_values(Log(HERE, SMALL, files=each))) for each in cuts}


def test_full_disk_that_cannot_be_cut_refuses_writes():
    """Half a record at the end would be followed by a whole one."""
    files = CrashFiles()
    log = Log(HERE, files=files)

    def fail(operation, name):
        if operation in {"write", "truncate"} and name.endswith(".log"):
            raise OSError(errno.ENOSPC, "injected")

    files.fail = fail
    assert isinstance(log.commit([[Record(b"x")]]).error, WritesRefused)


async def test_too_much_waiting_is_refused_at_once(tmp_path):
    """LogBusy, and what was taken before is written."""
    policy = Policy(max_waiting_bytes=100)
    log = await SegmentLog.open(tmp_path, policy)
    tasks = [asyncio.create_task(log.append([Record(bytes(20))])) for _ in range(5)]
    done = await asyncio.gather(*tasks, return_exceptions=True)

    assert done[0] == 0
    assert any(isinstance(each, LogBusy) for each in done)
    await log.close()


def test_second_writer_is_refused(tmp_path):
    """One directory, one writer; closing frees it."""
    log = Log(tmp_path)
    with pytest.raises(LogLocked):
        Log(tmp_path)
    log.close()

    Log(tmp_path).close()


async def test_real_full_disk_recovers(tmp_path):
    """A tmpfs of 256 KiB: fill it, make room, go on."""
    mount = tmp_path / "small"
    mount.mkdir()
    with small_disk(mount, size="256k"):
        ballast = mount / "ballast"
        ballast.write_bytes(bytes(64 * 1024))
        log = await SegmentLog.open(mount / "log")
        kept = []

        async def produce():
            for number in range(10_000):
                await log.append([Record(b"%04d" % number * 50)])
                kept.append(b"%04d" % number * 50)

        with pytest.raises(LogFull):
            await produce()
        ballast.unlink()
        kept.append(b"again")
        await log.append([Record(b"again")])
        await log.close()

        again = Log(mount / "log")
        assert _values(again) == kept
        again.close()
