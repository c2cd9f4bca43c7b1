"""Workers that can't be started, and what a parent keeps of them."""

import asyncio
from pathlib import Path

from structlog.testing import capture_logs

from service.server.ports import Ports
from service.server.workers import WorkerPool


def files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_worker_that_can_not_be_started_costs_no_file_and_holds_up_no_stop():
    """The machine has no room for a process: the parent waits, and ends when told."""
    pool = WorkerPool(
        ports=Ports("httpserver"),
        count=2,
        environment={"TOO_LONG": "x" * 1_000_000},  # E2BIG, for every attempt
        on_exit=lambda _pid: None,
    )
    pool.bind()
    before = files()
    with capture_logs() as logs:
        starting = asyncio.create_task(pool.start())
        while len(logs) < 2:
            await asyncio.sleep(0.01)
        assert files() == before

        async with asyncio.timeout(60):
            assert await pool.stop(grace=0.0) == 0
        starting.cancel()

    assert {each["event"] for each in logs} == {"worker_not_started"}
