"""The part that opens the store at the start, and closes it at the end."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from service.concurrency.cancelling import cancelled
from service.errors import StartError
from service.files.errors import FileError
from service.files.local_store import Limits, LocalStore
from service.files.partials import Partials
from service.files.store import FileStore
from service.files.threads import Threads
from service.files.usage import Used
from service.observability.files_metrics import FilesMetrics
from service.observability.logging import get_logger
from service.settings import FileSettings

if TYPE_CHECKING:
    from service.files.s3_keeping import KeptBucket

__all__ = ["Kept"]

_THREADS = 8
"""Calls that wait for the disk at once; what is in the kernel's memory needs none."""

_LOOK = 30.0
"""Seconds between two looks at what the files take."""


class Kept:
    """
    The store, open from the start of the service to its end.

    Args:
        settings: Gives the settings, live.
        metrics: Where it is told what the files take.

    Attributes:
        name: Of the part.
        store: Where the files are.
        local: The root on this disk, where uploads wait.
        partials: Uploads that wait to be resumed.
        threads: Where the disk is waited for.

    Concurrency: the main event loop.
    """

    name = "files"

    def __init__(
        self, settings: Callable[[], FileSettings], metrics: FilesMetrics
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self.threads = Threads(_THREADS)
        self._looking: asyncio.Task[None] | None = None
        self._remote: KeptBucket | None = None
        self.local: LocalStore
        self.store: FileStore
        self.partials: Partials

    def check_room(self, size: int, more: int) -> None:
        """Refuse a file of *size* bytes, and *more* bytes beside what is there."""
        self.local.check_room(size, more)

    def limits(self) -> Limits:
        """Return how much is kept, as it is now."""
        settings = self._settings()
        return Limits(
            settings.max_upload_bytes, settings.quota_bytes, settings.quota_files
        )

    async def start(self) -> None:
        """
        Open the store, remove what was left behind and count what is there.

        Raises:
            StartError: The root can't be used, or not these settings of an object
                store.
        """
        root = Path(self._settings().root)
        try:
            self.local = await self.threads.run(
                LocalStore, root, limits=self.limits, threads=self.threads
            )
            self.store = self.local
            self.partials = Partials(
                self.local.hidden,
                self.local.usage,
                most=lambda: self._settings().max_stopped_uploads,
            )
            await self._expire()
            swept = await self.threads.run(self.local.recover)
        except (OSError, FileError) as error:
            why = getattr(error, "strerror", None) or error
            raise StartError(f"files.root {root}: {why}") from error
        used = self.local.used()
        get_logger("httpserver.files").info(
            "files_opened",
            root=str(root),
            files=used.files,
            bytes=used.size,
            swept=swept,
        )
        await self._go_remote()
        self.tell()
        self._looking = asyncio.create_task(self._look(), name="files")

    async def _go_remote(self) -> None:
        """Let the files be in an object store, where the settings say so."""
        if self._settings().store == "s3":
            # its client costs half a second and 30 MB
            from service.files.s3_keeping import KeptBucket

            self._remote = KeptBucket(self._settings, self.limits)
            self.store = await self._remote.start()

    async def stop(self) -> None:
        """Close the store."""
        if self._looking is None:
            return
        await cancelled([self._looking])
        if self._remote is not None:
            await self._remote.stop()
        self.threads.close()
        self.local.close()

    async def check(self) -> None:
        """Return when the store and the disk answer; raise what they say when not."""
        if self._remote is not None:
            await self._remote.check()
        await self.threads.run(os.fstatvfs, self.local.tree.descriptor)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            try:
                await self._expire()
                self.tell()
            except (FileError, OSError) as error:
                get_logger("httpserver.files").warning(
                    "files_unreachable", exc_info=error
                )

    async def _expire(self) -> None:
        """Remove uploads that nobody went on with for too long."""
        ttl = self._settings().stopped_upload_ttl
        expired = await self.threads.run(self.partials.expire, ttl)
        for _ in range(expired):
            self._metrics.uploaded("expired")
        if expired:
            get_logger("httpserver.files").info("uploads_expired", uploads=expired)

    def tell(self) -> None:
        """Tell the metrics what the files take."""
        used = self.local.used()
        if self._remote is not None:
            there = self._remote.used
            if there is None:
                return  # nobody counts without a quota
            used = Used(used.size + there.size, there.files)
        self._metrics.stored(used.size, used.files)
