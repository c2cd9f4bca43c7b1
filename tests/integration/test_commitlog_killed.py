"""A real process is killed while it appends; what it acknowledged is there."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading

import pytest

from service.commitlog.log import Log

COMMAND = [sys.executable, "-m", "tests.support.killed_log"]
FRAME = 48
"""Bytes of each record's frame in this test: 32, 10 of value, 6 of padding."""


def _run_until_killed(directory, *, after=None, failpoint=0):
    """Return what was acknowledged: value by offset."""
    process = subprocess.Popen(
        [*COMMAND, directory],
        stdout=subprocess.PIPE,
        env={**os.environ, "FAILPOINT": str(failpoint)},
    )
    with process:
        limit = threading.Timer(30.0, process.kill)
        limit.start()
        lines = []
        try:
            for line in process.stdout:
                lines.append(line)
                if after is not None and len(lines) > after:
                    process.kill()
                    after = None
        finally:
            limit.cancel()
    assert process.returncode == -signal.SIGKILL
    whole = [line for line in lines if line.endswith(b"\n") and line != b"open\n"]
    pairs = [line.rstrip().split(b" ", 1) for line in whole]
    return {int(offset): value for offset, value in pairs}


def _read(log, offset):
    """Return all values from *offset* on."""
    values = []
    while offset < log.next_offset:
        found = log.read(
            offset, max_records=5000, max_bytes=10**7, until=log.next_offset
        )
        values += [record.value for record in found]
        offset += len(found)
    return values


def _kill_again_and_again(directory, kills, seed):
    """Return the acknowledged records of all runs, each checked after its run."""
    rng, acknowledged = random.Random(seed), {}
    for kill in range(kills):
        start = len(acknowledged) and max(acknowledged) + 1
        if kill % 2:
            now = _run_until_killed(directory, after=rng.randrange(400))
        else:
            point = rng.randrange(1, 120) * rng.choice([1, -1])
            now = _run_until_killed(directory, failpoint=point)
        assert not set(now) & set(acknowledged), f"an offset twice, kill {kill}"
        acknowledged.update(now)
        log = Log(directory)
        values = _read(log, start)
        log.close()
        for offset, value in now.items():
            assert values[offset - start] == value, f"kill {kill} of seed {seed}"
        _check_order(now)
    return acknowledged


def _check_order(acknowledged):
    for producer in range(4):
        mine = [
            value
            for _, value in sorted(acknowledged.items())
            if value.startswith(b"%d " % producer)
        ]
        assert mine == sorted(mine)


def _check_all(directory, acknowledged):
    log = Log(directory)
    values = _read(log, 0)
    log.close()
    assert all(values[offset] == value for offset, value in acknowledged.items())


def test_killed_process_keeps_every_acknowledged_record(tmp_path):
    """20 kills on one log: at random moments, and around writes and syncs."""
    acknowledged = _kill_again_and_again(tmp_path / "log", 20, seed=1)

    assert len(acknowledged) > 200
    _check_all(tmp_path / "log", acknowledged)


@pytest.mark.soak
def test_process_killed_a_thousand_times_keeps_every_acknowledged_record(tmp_path):
    """1,000 kills on one log, four producers; KILLS changes how many."""
    kills = int(os.environ.get("KILLS", "1000"))
    acknowledged = _kill_again_and_again(tmp_path / "log", kills, seed=2)
    print(f"{kills} kills, {len(acknowledged)} acknowledged, 0 lost")  # noqa: T201 - the figure

    _check_all(tmp_path / "log", acknowledged)


@pytest.mark.soak
def test_process_killed_at_each_failpoint_keeps_every_acknowledged_record(tmp_path):
    """Right before and right after each of the first 150 calls, on a new log each."""
    for call in range(1, 151):
        for failpoint in (call, -call):
            directory = tmp_path / f"log{failpoint}"
            now = _run_until_killed(directory, failpoint=failpoint)
            _check_all(directory, now)
            _check_order(now)


def _traced(directory, trace, *options):
    """Run the process to its end under strace; skip where that isn't allowed."""
    strace = ["strace", "-f", "-y", "-s", "40", "-o", trace]
    calls = ["-e", "trace=write,pwrite64,fdatasync"]
    done = subprocess.run(
        [*strace, *calls, *options, *COMMAND, directory],
        env={**os.environ, "COUNT": "30", "SEGMENT_BYTES": "1000000"},
        capture_output=True,
        timeout=120,
    )
    if b"ptrace" in done.stderr.lower():
        pytest.skip("tracing is not allowed here")
    return done


with_strace = pytest.mark.skipif(
    not shutil.which("strace"), reason="strace is not installed"
)


@with_strace
def test_every_acknowledgement_comes_after_its_fdatasync(tmp_path):
    """The kernel's calls in their order: bytes written, synced, then told."""
    trace = tmp_path / "trace"
    done = _traced(tmp_path / "log", trace)
    assert done.returncode == 0, done.stderr

    assert _acknowledged_after_sync(trace.read_text()) == 4 * 30


@with_strace
def test_fdatasync_that_the_kernel_fails_is_the_last(tmp_path):
    """EIO once: nothing is synced or told after it; what was told is there."""
    trace = tmp_path / "trace"
    fault = ["-e", "inject=fdatasync:error=EIO:when=12"]
    done = _traced(tmp_path / "log", trace, *fault)
    kernel = trace.read_text()
    told = re.findall(rb"^(\d+) (\d \d{8})$", done.stdout, re.MULTILINE)

    assert done.returncode == 1
    assert b"WritesRefused" in done.stderr
    assert 0 < len(told) == _acknowledged_after_sync(kernel) < 4 * 30
    before, injected, after = kernel.partition("(INJECTED)")
    assert before
    assert injected
    assert not re.search(r"fdatasync.*= 0$", after, re.MULTILINE)
    _check_all(tmp_path / "log", {int(offset): value for offset, value in told})


def _acknowledged_after_sync(trace):
    """Return how many acknowledgements there were, each below the synced size."""
    written = synced = count = 0
    syncing = {}
    for line in trace.splitlines():
        thread = line.split()[0]
        if wrote := re.search(
            r'pwrite64\(\d+<[^>]*\.log>, ".*"\.*, (\d+), (\d+)', line
        ):
            written = int(wrote[1]) + int(wrote[2])
        elif re.search(r"fdatasync\(\d+<[^>]*\.log>", line):
            syncing[thread] = written
        if "fdatasync" in line and re.search(r"\) += 0$", line) and thread in syncing:
            synced = syncing.pop(thread)
        if told := re.search(r' write\(1<[^>]*>, "(\d+) \d \d{8}', line):
            assert 16 + FRAME * (int(told[1]) + 1) <= synced, line
            count += 1
    return count
