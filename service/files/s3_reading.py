"""Reading an object in pieces: all of them of one version, or an error."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from service.files.errors import NotFound, StoreUnavailable
from service.files.s3_client import Bucket
from service.files.s3_errors import Changed, told
from service.files.s3_versions import Version
from service.files.store import FileInfo

if TYPE_CHECKING:
    from types_aiobotocore_s3.type_defs import GetObjectOutputTypeDef

__all__ = ["S3File"]

_PIECE = 131_072
_ATTEMPTS = 3
"""Requests without a single byte between them before a download is given up."""


class S3File:
    """
    A version of an object.

    Args:
        bucket: Where it is.
        key: Its key.
        version: Which one; in a bucket that keeps old versions it can be read after it
            was replaced.

    Attributes:
        info: What is told of it.

    Concurrency: one task.
    """

    def __init__(self, bucket: Bucket, key: str, version: Version) -> None:
        self._bucket = bucket
        self._key = key
        self._version = version
        self.info: FileInfo = version.info

    async def chunks(self, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from *start* up to *stop*; a cut one is gone on with."""
        failures = 0
        while start < stop:
            try:
                async with aclosing(self._stream(start, stop)) as stream:
                    async for chunk in stream:
                        start, failures = start + len(chunk), 0
                        yield chunk
            except (Changed, NotFound):
                text = "a file was replaced or removed while it was read"
                raise StoreUnavailable(text) from None
            except StoreUnavailable:
                failures += 1
                if failures == _ATTEMPTS:
                    raise

    async def _stream(self, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        answer = await self._get(start, stop)
        with told():
            async with answer["Body"] as body:
                async for chunk in body.iter_chunks(_PIECE):
                    yield chunk

    async def _get(self, start: int, stop: int) -> "GetObjectOutputTypeDef":
        name, key = self._bucket.name, self._key
        part, tag = f"bytes={start}-{stop - 1}", self.info.etag
        async with self._bucket.asked() as client:
            if self._version.version_id:
                return await client.get_object(
                    Bucket=name,
                    Key=key,
                    Range=part,
                    VersionId=self._version.version_id,
                )
            return await client.get_object(
                Bucket=name, Key=key, Range=part, IfMatch=tag
            )
