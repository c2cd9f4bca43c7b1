"""Probes while a server is loaded: one each 20 ms, as a kubelet sends them."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Probes", "probing"]

INTERVAL = 0.02
"""Seconds between two probes, whether the one before was answered or not."""


@dataclass(slots=True)
class Probes:
    """
    What came of the probes.

    Attributes:
        latencies: Milliseconds from the connection to the end of the answer, of each.
        failed: Probes that were not answered 200.
    """

    latencies: list[float] = field(default_factory=list)
    failed: int = 0

    def percentile(self, share: float) -> float:
        """Return the latency that *share* of the probes do not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


@contextlib.contextmanager
def probing(port: int, path: str) -> Iterator[Probes]:
    """Probe 127.0.0.1 while the block runs, each time on a new connection."""
    probes = Probes()
    stop = threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(_probe(port, path, probes, stop))
    )
    thread.start()
    try:
        yield probes
    finally:
        stop.set()
        thread.join()


async def _probe(port: int, path: str, probes: Probes, stop: threading.Event) -> None:
    async with asyncio.TaskGroup() as group:
        while not stop.is_set():
            group.create_task(_one(port, path, probes))
            await asyncio.sleep(INTERVAL)


async def _one(port: int, path: str, probes: Probes) -> None:
    began = time.monotonic()
    try:
        async with asyncio.timeout(30):
            answered = await _ask(port, path)
    except OSError:
        answered = False
    probes.latencies.append((time.monotonic() - began) * 1000)
    probes.failed += not answered


async def _ask(port: int, path: str) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        return b" 200 " in (await reader.read())[:16]
    finally:
        writer.close()
