"""A whole upload that waits on the local disk to become a file of the store."""

import os
from collections.abc import AsyncIterator

from service.files.arrivals import Arrival
from service.files.gathering import GATHERED
from service.files.threads import Threads

__all__ = ["Staged"]


class Staged:
    """
    The content of an upload: what `FileStore.put` takes.

    A store that has the same directory renames it; any other reads it piece by piece.

    Args:
        arrival: The file.
        directory: Descriptor of the directory that it is in.
        threads: Where the disk is waited for.

    Attributes:
        arrival: The same.
        directory: The same.

    Concurrency: one task.
    """

    def __init__(self, arrival: Arrival, directory: int, threads: Threads) -> None:
        self.arrival = arrival
        self.directory = directory
        self._threads = threads

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the content."""
        position = 0
        descriptor = self.arrival.descriptor
        while data := await self._threads.run(os.pread, descriptor, GATHERED, position):
            position += len(data)
            yield data
