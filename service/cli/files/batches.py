"""
Several transfers of one command: at once, each with a bar, and each told by a line.

What one of them is refused for does not keep the others; what would be refused of all
of them, or nobody answering, ends the command.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import typer

from service.cli.failing import reason
from service.cli.output import complain, write
from service.cli.progress import Begin, transfers
from service.client.errors import ClientError
from service.concurrency.scope import task_scope
from service.errors import ServiceError
from service.getting.calling import OtherAnswer, Refused
from service.top.words import plain

__all__ = ["Batch"]

_OF_ONE = frozenset({400, 404, 409, 412, 413, 415, 416})
"""Statuses that say something of one file, and nothing of the next."""


class Batch:
    """
    Transfers.

    Args:
        as_json: Whether each is told as JSON.

    Attributes:
        failed: Whether one of them was refused.

    Concurrency: one event loop.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._lines: list[tuple[Callable[[str], None], str]] = []
        self.failed = False

    async def run(
        self,
        jobs: AsyncIterator[Any],
        work: Callable[[Any, Begin], Awaitable[None]],
        *,
        at_once: int,
    ) -> None:
        """
        Do all of *jobs*.

        Args:
            jobs: What is to be done, each with a `name`; asked for the next when there
                is a place for it.
            work: Does one.
            at_once: How many.
        """
        places = asyncio.Semaphore(at_once)
        try:
            with transfers() as begin:
                async with task_scope() as tasks:
                    async for job in jobs:
                        await places.acquire()
                        task = tasks.create_task(self._one(work(job, begin), job))
                        task.add_done_callback(lambda _task: places.release())
        finally:  # lines would break the bars
            for tell, line in self._lines:
                tell(line)

    def done(self, text: str, **told: Any) -> None:
        """Note what became of a file."""
        line = json.dumps(told, ensure_ascii=False) if self._as_json else plain(text)
        self._lines.append((write, line))

    def refuse(self, text: str) -> None:
        """Note why a file was not transferred."""
        self.failed = True
        self._lines.append((complain, plain(text)))

    def note(self, text: str) -> None:
        """Note what is told besides."""
        self._lines.append((complain, plain(text)))

    def end(self) -> None:
        """Leave with 1 if something was refused."""
        if self.failed:
            raise typer.Exit(1)

    async def _one(self, work: Awaitable[None], job: Any) -> None:
        try:
            await work
        except Refused as error:
            if error.status not in _OF_ONE:
                raise
            self.refuse(f"{job.name}: {reason(error)}")
        except (ClientError, OtherAnswer):
            raise
        except ServiceError as error:
            self.refuse(str(error))
