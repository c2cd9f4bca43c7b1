"""
A file from the service: into a file by parts, or as a stream.

A part that breaks off goes on from where it stopped, by `Range`, and only of the same
version (`If-Range`, `If-Match`): of a file that is replaced meanwhile nothing is mixed.
"""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from service.cli.files.partial import Damaged, Partial
from service.cli.files.patience import Patience
from service.cli.files.service import Changed, FileService, Info
from service.client.errors import UpstreamError
from service.concurrency.scope import task_scope
from service.getting.calling import OtherAnswer

__all__ = ["LEAST_PART", "Downloads"]

LEAST_PART = 8 << 20
"""Bytes: smaller parts would not be faster."""

_NOTED_EVERY = 5.0
"""Seconds between notes of how far a download is."""

Advance = Callable[[int, int], None]


class Downloads:
    """
    Gets files.

    Args:
        service: Has them.
        parts: Most parts of a file that are under way at once.
        retries: Attempts in a row that may bring nothing.

    Concurrency:
        Tasks of one event loop.
    """

    def __init__(self, service: FileService, *, parts: int, retries: int) -> None:
        self._service = service
        self._parts = parts
        self._retries = retries

    async def save(self, path: str, target: Path, advance: Advance) -> Info:
        """
        Get a file; *target* is as it was until it is whole and compared.

        Raises:
            NoFile, IsDirectory, Changed: There is no such file, or another now.
            Damaged: It came with another digest.
            Refused, ClientError: The service refuses, or does not answer.
            OSError: It can't be written.
        """
        info = await self._service.info(path)
        try:
            await self._saved(path, info, target, advance)
        except Changed:  # once: begin anew with what is there now
            info = await self._service.info(path)
            await self._saved(path, info, target, advance)
        return info

    async def _saved(
        self, path: str, info: Info, target: Path, advance: Advance
    ) -> None:
        parts = max(1, min(self._parts, info.size // LEAST_PART))
        target.parent.mkdir(parents=True, exist_ok=True)
        with Partial(target, info, parts=parts) as partial:
            advance(partial.have, info.size)
            noted = time.monotonic()

            def took(data: bytes, part: list[int]) -> None:
                nonlocal noted
                partial.write(data, part)
                advance(partial.have, info.size)
                if time.monotonic() - noted > _NOTED_EVERY:
                    partial.save()
                    noted = time.monotonic()

            async with task_scope() as tasks:
                for part in partial.missing:
                    tasks.create_task(self._part(path, info, part, took))
            await partial.finish()

    async def _part(
        self,
        path: str,
        info: Info,
        part: list[int],
        took: Callable[[bytes, list[int]], None],
    ) -> None:
        """Get what a part lacks, and go on where it is cut."""
        patience = Patience(self._retries)
        while part[0] < part[1]:
            began = part[0]
            async with self._service.content(path, info, *part) as answer:
                try:
                    async for data in answer.chunks(raw=True):
                        if len(data) > part[1] - part[0]:
                            raise OtherAnswer(f"{path}: more came than was told")
                        took(data, part)
                except UpstreamError as error:
                    if part[0] > began:
                        patience.progressed()
                    cut = error
                else:
                    if part[0] < part[1]:
                        raise OtherAnswer(f"{path}: less came than was told")
                    return
            await patience.wait(cut)

    async def stream(
        self, path: str, write: Callable[[bytes], None], advance: Advance
    ) -> Info:
        """
        Get a file as a stream: what was written can't be taken back.

        Raises:
            Damaged: What was written has another digest than was told.
        """
        info = await self._service.info(path)
        running = {name: hashlib.new(name.replace("-", "")) for name in info.digests}

        def took(data: bytes, part: list[int]) -> None:
            write(data)
            part[0] += len(data)
            for each in running.values():
                each.update(data)
            advance(part[0], info.size)

        await self._part(path, info, [0, info.size], took)
        for name, each in running.items():
            if each.digest() != info.digests[name]:
                raise Damaged(f"{path}: what came has another {name} than was told")
        return info
