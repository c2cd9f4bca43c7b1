"""The disk fails or is full below a running log service, while clients are at it."""

import asyncio
import contextlib
import resource
import shutil
import signal
import subprocess

import grpc
import httpx2
import pytest

from service.commitlog.errors import LogFull, WritesRefused
from service.log_api.errors import error_of
from service.log_api.v1 import log_pb2
from tests.support.log_producers import check_order, produce
from tests.support.log_service import (
    LOST,
    PORT,
    channel,
    consume_all,
    failure_of,
    health_of,
    produced,
    serving_log,
    values_of,
)
from tests.support.process import LIMIT
from tests.support.scrape import await_value, value
from tests.support.small_disk import grow, small_disk

PRODUCERS = 4
REFUSED = 'httpserver_commitlog_writes_refused{stream="records"}'


@contextlib.contextmanager
def failing_syncs(service):
    """From now on each fdatasync of *service* fails as one of a broken disk does."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    fault = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO"]
    pid = str(service.process.pid)
    with subprocess.Popen(
        ["strace", "-f", "-p", pid, *fault], stderr=subprocess.PIPE, text=True
    ) as strace:
        first = strace.stderr.readline()
        if "attached" not in first:
            strace.wait()
            pytest.skip(f"tracing is not allowed here: {first}")
        try:
            yield
        finally:
            strace.send_signal(signal.SIGINT)
            strace.communicate(timeout=LIMIT)


async def produce_until_refused(service, acknowledged, *, after):
    """Four producers; *after* so many acknowledgements yields, then how they ended."""
    tasks = [
        asyncio.create_task(produce(service.ports[PORT], name, acknowledged))
        for name in range(PRODUCERS)
    ]
    async with asyncio.timeout(2 * LIMIT):
        while len(acknowledged) < after and not all(each.done() for each in tasks):
            await asyncio.sleep(0.005)
        yield
        yield await asyncio.gather(*tasks, return_exceptions=True)


async def follow(service, found):
    """Read all that comes until it is cancelled."""
    async with channel(service.ports[PORT]) as stub:
        async for answer in stub.ConsumeStream(log_pb2.ConsumeStreamRequest()):
            found += answer.records


def check_refusals(failures, *, code, kind):
    assert all(isinstance(each, grpc.aio.AioRpcError) for each in failures), failures
    told = [each for each in failures if each.details() != LOST]
    assert told
    for each in told:
        assert each.code() is code
        assert isinstance(error_of(each), kind)
        assert "rrno" not in each.details(), "the cause is for the log alone"


async def test_service_whose_syncs_fail_acknowledges_nothing_more(tmp_path):
    """It isn't ready, readers read on, a disk that works again changes nothing."""
    acknowledged, followed = {}, []
    with serving_log(tmp_path / "log") as service:
        port = service.ports[PORT]
        following = asyncio.create_task(follow(service, followed))
        steps = produce_until_refused(service, acknowledged, after=100)
        await anext(steps)
        with failing_syncs(service):
            ends = await anext(steps)
            told = len(acknowledged)
        line = await asyncio.to_thread(service.await_event, "log_failed")
        async with channel(port) as stub:
            ends.append(await failure_of(produced(stub, b"x")))
            stored = values_of(await consume_all(stub))
        async with asyncio.timeout(LIMIT):
            while len(followed) < len(stored) or await health_of(port) == "SERVING":
                await asyncio.sleep(0.05)
        ready = httpx2.get(f"{service.admin_url}/readyz")
        alive = httpx2.get(f"{service.admin_url}/healthz")
        await_value(service, REFUSED, 1)
        following.cancel()
        service.signal(signal.SIGTERM)
        await asyncio.to_thread(service.await_exit)
    with serving_log(tmp_path / "log") as service:
        async with channel(service.ports[PORT]) as stub:
            kept = values_of(await consume_all(stub))
            assert await produced(stub, b"x") == len(kept)
        assert value(service, REFUSED) == 0

    check_refusals(ends, code=grpc.StatusCode.UNAVAILABLE, kind=WritesRefused)
    assert "WritesRefused" in line["reason"]
    assert (ready.status_code, alive.status_code) == (503, 200)
    assert told == len(acknowledged)
    assert stored == values_of(followed)
    assert all(kept[offset] == each for offset, each in acknowledged.items())
    check_order(acknowledged, producers=PRODUCERS)


@contextlib.contextmanager
def small_files(service, _directory):
    """No file of *service* may grow over 64 KiB, until it is told otherwise."""
    pid = service.process.pid
    _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (65_536, most))
    yield lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))


@contextlib.contextmanager
def full_disk(_service, directory):
    """The disk fills up, until it grows."""
    yield lambda: grow(directory)


@pytest.mark.parametrize("limited", [full_disk, small_files])
async def test_full_disk_loses_nothing_and_is_over_when_there_is_room(
    tmp_path, limited
):
    """Producers are told, nothing they were not told is kept; no restart is needed."""
    acknowledged, followed = {}, []
    directory = tmp_path / "disk"
    directory.mkdir()
    disk = small_disk(directory, size="256k") if limited is full_disk else None
    with disk or contextlib.nullcontext(), serving_log(directory / "log") as service:
        port = service.ports[PORT]
        following = asyncio.create_task(follow(service, followed))
        with limited(service, directory) as make_room:
            steps = produce_until_refused(service, acknowledged, after=10**9)
            await anext(steps)
            ends = await anext(steps)
            async with channel(port) as stub:
                before = values_of(await consume_all(stub))
                ready = httpx2.get(f"{service.admin_url}/readyz")
                make_room()
                acknowledged[await produced(stub, b"x")] = b"x"
        line = await asyncio.to_thread(service.await_event, "log_failed")
        async with asyncio.timeout(LIMIT):
            while len(followed) < len(acknowledged):
                await asyncio.sleep(0.05)
        following.cancel()
        service.signal(signal.SIGKILL)
        await asyncio.to_thread(service.await_exit)
        with serving_log(directory / "log") as again:
            async with channel(again.ports[PORT]) as stub:
                kept = values_of(await consume_all(stub))

    in_order = [each for _, each in sorted(acknowledged.items())]
    check_refusals(ends, code=grpc.StatusCode.RESOURCE_EXHAUSTED, kind=LogFull)
    assert "LogFull" in line["reason"]
    assert ready.status_code == 200
    assert before == in_order[:-1]
    assert in_order == values_of(followed) == kept
    check_order(acknowledged, producers=PRODUCERS)
