"""
Reading a file of the local disk in pieces, while the event loop stays free.

What the kernel has in its memory is read at once (`RWF_NOWAIT`): a thread would cost
more than the copy. Only where the disk must be waited for, a thread does it.
"""

import os
from collections.abc import AsyncIterator

from service.files.errors import StoreUnavailable
from service.files.store import FileInfo
from service.files.threads import Threads
from service.files.versions import read_version

__all__ = ["PIECE", "LocalFile"]

PIECE = 122_880
"""
Bytes of a piece. Blocks from 128 KiB are mapped and unmapped one by one
(`service.server.memory`), and to fault each page in costs three times the copy.
"""

_NO_WAIT = getattr(os, "RWF_NOWAIT", 0)


class LocalFile:
    """
    A file that is open.

    Args:
        descriptor: Its own from now on.
        threads: Where the disk is waited for.
        buffer: `PIECE` bytes that all files of an event loop use in turn; they stay in
            the processor's cache, and a file that waits for a slow client holds none.

    Attributes:
        info: Which version it is.

    Concurrency: one task.
    """

    __slots__ = ("_buffer", "_descriptor", "_threads", "info")

    def __init__(self, descriptor: int, threads: Threads, buffer: memoryview) -> None:
        self._descriptor = descriptor
        self._threads = threads
        self._buffer = buffer
        self.info: FileInfo = read_version(descriptor)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Yield the bytes from *start* up to *stop*."""
        while start < stop:
            size = min(PIECE, stop - start)
            data = self._at_once(start, size)
            if data is None:
                data = await self._threads.run(os.pread, self._descriptor, size, start)
            if not data:
                raise StoreUnavailable("a file became shorter while it was read")
            start += len(data)
            yield data

    def _at_once(self, start: int, size: int) -> bytes | None:
        """Return what the kernel has in its memory; None when it has nothing."""
        if not _NO_WAIT:
            return None
        view = self._buffer[:size]
        try:
            read = os.preadv(self._descriptor, [view], start, _NO_WAIT)
        except OSError:  # it would have to wait, or the file system can't say
            return None
        return bytes(view[:read])
