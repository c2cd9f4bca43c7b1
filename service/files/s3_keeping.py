"""The object store from the start of the service to its end."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from service.concurrency.cancelling import cancelled
from service.errors import StartError
from service.files.errors import FileError
from service.files.local_store import Limits
from service.files.s3_client import Bucket, opened_bucket
from service.files.s3_store import S3Store
from service.files.s3_sweep import sweep
from service.files.usage import Used
from service.observability.logging import get_logger
from service.settings import FileSettings

__all__ = ["KeptBucket"]

_ROUND = 300.0
"""Seconds between two counts; each thousand files are a request."""

_SOON = 5.0
"""Seconds until the next try when the store was away."""


class KeptBucket:
    """
    The client of the store, and the count of what is there.

    Args:
        settings: Gives the settings, live.
        limits: Gives how much is kept.

    Attributes:
        store: Where the files are.

    Concurrency: the main event loop.
    """

    def __init__(
        self, settings: Callable[[], FileSettings], limits: Callable[[], Limits]
    ) -> None:
        self._settings = settings
        self._limits = limits
        self._open = AsyncExitStack()
        self._rounds: asyncio.Task[None] | None = None
        self._bucket: Bucket
        self.store: S3Store

    @property
    def used(self) -> Used | None:
        """What the files take; None when nobody counts."""
        return self.store.usage.used

    async def start(self) -> S3Store:
        """
        Make the client; the store need not be there yet.

        Raises:
            StartError: The settings can't be used.
        """
        said = self._settings().s3
        try:
            self._bucket = await self._open.enter_async_context(
                opened_bucket(lambda: self._settings().s3)
            )
        except OSError as error:
            raise StartError(f"files.s3.ca_file {said.ca_file}: {error}") from error
        self.store = S3Store(self._bucket, limits=self._limits)
        self._rounds = asyncio.create_task(self._go_round(), name="files_s3")
        get_logger("httpserver.files").info(
            "bucket_opened", bucket=said.bucket, prefix=said.prefix
        )
        return self.store

    async def stop(self) -> None:
        """Close its connections."""
        if self._rounds is not None:
            await cancelled([self._rounds])
        await self._open.aclose()

    async def check(self) -> None:
        """Return when the store answers; raise what is wrong when not."""
        async with self._bucket.asked() as client:
            await client.list_objects_v2(
                Bucket=self._bucket.name, Prefix=self._bucket.prefix, MaxKeys=1
            )

    async def _go_round(self) -> None:
        while True:
            pause = _ROUND if await self._round() else _SOON
            await asyncio.sleep(pause)

    async def _round(self) -> bool:
        """Count, and remove what was left behind; whether the store answered."""
        log = get_logger("httpserver.files")
        try:
            await self.store.usage.count(self._bucket)
            swept = await sweep(self._bucket, age=self._settings().stopped_upload_ttl)
        except FileError as error:
            log.warning("bucket_unreachable", why=str(error))
            return False
        if swept:
            log.info("parts_swept", uploads=swept)
        return True
