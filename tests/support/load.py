"""
A small load generator on asyncio: requests at a given rate, whatever the answers.

An open loop, because clients of an overloaded service do not wait for each other: a
closed loop would slow down with the service and never overload it.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

__all__ = ["Answer", "Load", "quantile"]


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What a request came to.

    Attributes:
        status: Status of the answer; 0 when there was none.
        head: The head of the answer, lower case.
        began: `time.perf_counter()` at which it was to be sent.
        seconds: From then to the answer's last byte.
    """

    status: int
    head: str
    began: float
    seconds: float


@dataclass
class Load:
    """
    Requests to one port of this machine.

    Attributes:
        port: Where to.
        limit: Seconds after which a request has failed.
        answers: What they came to, in the order of their ends.
    """

    port: int
    limit: float = 60.0
    answers: list[Answer] = field(default_factory=list)
    _idle: deque = field(default_factory=deque)

    async def steady(self, path: str, *, rate: float, seconds: float) -> None:
        """Send *rate* requests per second, and await all of their answers."""
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(int(rate * seconds)):
                due = began + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(self.ask(path, due))

    async def closed(self, path: str, *, clients: int, seconds: float) -> None:
        """Let *clients* ask one request after the other."""
        end = time.perf_counter() + seconds

        async def client():
            while (now := time.perf_counter()) < end:
                await self.ask(path, now)

        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(client())

    async def ask(self, path: str, began: float) -> Answer:
        """Send one request on a connection that is free, or on a new one."""
        try:
            async with asyncio.timeout(self.limit):
                status, head = await self._ask(path)
        except (OSError, EOFError, TimeoutError):
            status, head = 0, ""
        answer = Answer(status, head, began, time.perf_counter() - began)
        self.answers.append(answer)
        return answer

    async def _ask(self, path: str) -> tuple[int, str]:
        if self._idle:
            reader, writer = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: load\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = head.partition("content-length:")[2].partition("\r\n")[0]
            await reader.readexactly(int(length or 0))
        except BaseException:
            writer.close()
            raise
        self._idle.append((reader, writer))
        return int(head.split(" ", 2)[1]), head

    async def close(self) -> None:
        """Close the connections."""
        while self._idle:
            _, writer = self._idle.pop()
            writer.close()


def quantile(values: list[float], share: float) -> float:
    """Return the value that *share* of the values keep below; nan without any."""
    ordered = sorted(values)
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
