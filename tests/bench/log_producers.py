"""Producers of a log service: those in Go, which keep up with any, and our client."""

import asyncio
import json
import subprocess
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter, process_time

from service.commitlog import Record
from service.log_client.client import LogClient
from tests.bench.appending import append_for
from tests.bench.tables import seconds

__all__ = ["Report", "Shape", "by_go", "by_python", "ran", "reported"]

SECONDS = 2
WARM_UP = 1
WINDOW = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What is sent, by which call: *batch* records of *size* bytes in a request."""

    streaming: bool
    size: int
    producers: int
    batch: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    What producers measured.

    Attributes:
        records: Acknowledged in the time that is measured.
        all: Acknowledged at all.
        cpu_seconds: Of the producers, for all of them.
        failed: Producers that ended with an error.
        why: One of the errors.
    """

    records: int
    all: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_seconds: float
    failed: int = 0
    why: str = ""

    @property
    def rate(self) -> float:
        """Records per second."""
        return self.records / self.seconds

    @property
    def cpu(self) -> float:
        """CPU seconds of the producers for one record."""
        return self.cpu_seconds / max(1, self.all)


def by_go(program: str, port: int, shape: Shape) -> Report:
    """Let the producers in Go send."""
    options = (
        f"-address=127.0.0.1:{port}",
        f"-streaming={str(shape.streaming).lower()}",
        f"-window={WINDOW}",
        f"-batch={shape.batch}",
    )
    return ran((program, "load", *options), shape)


def ran(command: Sequence[str], shape: Shape) -> Report:
    """Run a program that measures *shape*, and return what it says."""
    what = (f"-size={shape.size}", f"-producers={shape.producers}")
    times = (f"-time={seconds(SECONDS)}s", f"-warm={WARM_UP}s")
    done = subprocess.run(
        [*command, *what, *times], capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Report(**json.loads(done.stdout))


def by_python(port: int, shape: Shape) -> Report:
    """Let our client send, in this process."""
    used = process_time()
    waits, took = asyncio.run(_sent(port, shape))
    return reported(waits, took, process_time() - used)


def reported(waits: list[float], took: float, used: float) -> Report:
    """Return what producers in this process measured, who used so many CPU seconds."""
    waits.sort()
    return Report(
        records=len(waits),
        all=len(waits),
        seconds=took,
        p50_ms=waits[len(waits) // 2] * 1e3,
        p99_ms=waits[len(waits) * 99 // 100] * 1e3,
        cpu_seconds=used,
    )


async def _sent(port: int, shape: Shape) -> tuple[list[float], float]:
    async with LogClient(f"127.0.0.1:{port}") as client:
        if not shape.streaming:
            size, producers = shape.size, shape.producers
            return await append_for(client.produce, size=size, producers=producers)
        return await _streamed(client, shape.size)


async def _streamed(client: LogClient, size: int) -> tuple[list[float], float]:
    """Send one stream, with a window of bytes as large as that of the others."""
    sent: deque[float] = deque()
    begin = perf_counter()

    async def records() -> AsyncIterator[Sequence[Record]]:
        record = Record(bytes(size))
        while (now := perf_counter()) < begin + seconds(SECONDS):
            sent.append(now)
            yield [record]

    stream = client.produce_stream(records(), window_bytes=WINDOW * size)
    async with aclosing(stream) as acknowledged:
        waits = [perf_counter() - sent.popleft() async for _ in acknowledged]
    return waits, perf_counter() - begin
