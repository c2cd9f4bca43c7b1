"""What is uploaded: a file, which can be read from anywhere, or a stream, once."""

import asyncio
import os
from pathlib import Path
from typing import Protocol

from service.cli.files.partial import digest_of
from service.errors import ServiceError

__all__ = ["FileSource", "Source", "StreamSource"]


class Source(Protocol):
    """
    Bytes to upload.

    Attributes:
        size: How many; None while nobody knows.
        digest: Their SHA-256, if it is known before they are read.
    """

    size: int | None
    digest: bytes | None

    async def read(self, start: int, most: int) -> bytes:
        """
        Return bytes from *start*: *most* of them, fewer at the end alone.

        Raises:
            ServiceError: They are gone, or can't be read.
        """


class FileSource:
    """
    A file.

    Args:
        file: Descriptor of it; who made it closes it.
        name: What it is called when it can't be read.
    """

    def __init__(self, file: int, name: Path) -> None:
        self._file = file
        self._name = name
        self.size: int | None = os.fstat(file).st_size
        self.digest: bytes | None = None

    async def prepare(self) -> None:
        """Compute the digest: what is in place at the service was compared with it."""
        self.digest = await digest_of(self._file, "sha-256")

    async def read(self, start: int, most: int) -> bytes:
        """Return bytes from *start*."""
        try:
            data = await asyncio.to_thread(os.pread, self._file, most, start)
        except OSError as error:
            raise ServiceError(f"can't read {self._name}: {error.strerror}") from None
        if len(data) < min(most, (self.size or 0) - start):
            raise ServiceError(f"{self._name} became shorter while it was sent")
        return data


class StreamSource:
    """
    A pipe: what was read last is kept until more is asked for.

    Args:
        file: Its descriptor.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._start = 0
        self._data = b""
        self.size: int | None = None
        self.digest: bytes | None = None

    async def read(self, start: int, most: int) -> bytes:
        """Return bytes from *start*, which is in or behind what was read last."""
        skipped = start - self._start
        if not 0 <= skipped <= len(self._data):
            raise ServiceError("the service lost what was sent: a pipe is read once")
        self._data, self._start = self._data[skipped:], start
        parts, size = [self._data], len(self._data)
        while size < most and (data := await self._next(most - size)):
            parts.append(data)
            size += len(data)
        self._data = b"".join(parts)
        return self._data[:most]

    async def _next(self, most: int) -> bytes:
        ready = asyncio.Event()
        loop = asyncio.get_running_loop()
        try:
            loop.add_reader(self._file, ready.set)
        except PermissionError:  # a file, which is always ready
            return os.read(self._file, most)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._file)
        return os.read(self._file, most)
