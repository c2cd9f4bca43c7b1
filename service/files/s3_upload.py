"""
An upload into an object store: in one request, or in parts that become a file at once.

Nothing of it can be seen before its end. There, the version that was looked at goes
along as a condition, so that the store itself refuses when another upload was faster;
an upload whose answer was lost is known by its id. What does not come to its end is
aborted, parts and all.

Source: Amazon S3, Multipart upload overview; How to prevent object overwrites with
conditional writes
"""

import asyncio
import secrets
import time
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING
from zlib import crc32

from service.files.conditions import ANY_VERSION, Condition
from service.files.digests import Digests
from service.files.errors import FileError, StoreUnavailable
from service.files.s3_client import Bucket
from service.files.s3_errors import Changed
from service.files.s3_versions import Version, check, metadata, version_at
from service.files.store import FileInfo
from service.observability.logging import get_logger

if TYPE_CHECKING:
    from types_aiobotocore_s3.type_defs import CompletedPartTypeDef

__all__ = ["MOST_BYTES", "ObjectUpload", "equal_parts", "part_bytes"]

_LEAST_PART = 5 * 1_048_576
"""Bytes of a part that is not the last, as S3 has it."""

_MOST_PARTS = 10_000
"""Parts of an upload, as S3 has it."""

_LARGEST_PART = 64 * 1_048_576
"""Bytes of a part that are held in memory for an upload, twice, at the most."""

MOST_BYTES = _LARGEST_PART * _MOST_PARTS
"""Bytes of the largest file: 671 GB."""

_RACES = 4
"""Uploads of others that may be faster before this one is given up."""

_ABORT_LIMIT = 5.0
"""Seconds that an abort may take; what it leaves is swept after a while."""


def part_bytes(most: int) -> int:
    """Return how large parts must be for a file of at most *most* bytes."""
    return min(max(_LEAST_PART, -(-most // _MOST_PARTS)), _LARGEST_PART)


async def equal_parts(
    chunks: AsyncIterable[bytes], size: int
) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of *chunks* in pieces of *size*; the last may have fewer."""
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        while len(held) >= size:
            with memoryview(held) as view:
                part = bytes(view[:size])
            del held[:size]
            yield part
            del part  # two parts of each upload in memory would be one too many
    if held:
        yield bytes(held)


class ObjectUpload:
    """
    One upload.

    Args:
        bucket: Where the object will be.
        key: Its key.
        condition: Which version must be there at the end.

    Concurrency: one task.
    """

    def __init__(self, bucket: Bucket, key: str, condition: Condition) -> None:
        self._bucket = bucket
        self._key = key
        self._condition = condition
        self._id = secrets.token_hex(16)
        self._multipart = ""
        self._parts: list[CompletedPartTypeDef] = []

    async def whole(self, body: bytes, digests: Digests, old: Version | None) -> "Land":
        """
        Make the object of *body*.

        Args:
            body: The content.
            digests: Of it.
            old: What was there when somebody looked last.
        """

        async def send(guard: dict[str, str]) -> str:
            async with self._bucket.asked() as client:
                answer = await client.put_object(
                    Bucket=self._bucket.name,
                    Key=self._key,
                    Body=body,
                    ChecksumCRC32=_crc32(body),
                    Metadata=metadata(self._id, digests),
                    **guard,  # type: ignore[arg-type] # of strings alone
                )
            return answer["ETag"]

        return await self._land(send, old, len(body), digests)

    async def begin(self, announced: Digests) -> None:
        """Begin an upload in parts, of content that must have *announced*."""
        async with self._bucket.asked() as client:
            answer = await client.create_multipart_upload(
                Bucket=self._bucket.name,
                Key=self._key,
                Metadata=metadata(self._id, announced),
                ChecksumAlgorithm="CRC32",
            )
        self._multipart = answer["UploadId"]

    async def part(self, body: bytes) -> None:
        """Send the next part."""
        number = len(self._parts) + 1
        async with self._bucket.asked() as client:
            answer = await client.upload_part(
                Bucket=self._bucket.name,
                Key=self._key,
                UploadId=self._multipart,
                PartNumber=number,
                Body=body,
                ChecksumCRC32=_crc32(body),
            )
        part: CompletedPartTypeDef = {"PartNumber": number, "ETag": answer["ETag"]}
        if "ChecksumCRC32" in answer:  # older stores have none
            part["ChecksumCRC32"] = answer["ChecksumCRC32"]
        self._parts.append(part)

    async def complete(
        self, size: int, digests: Digests, old: Version | None
    ) -> "Land":
        """Make the object of the parts; see `whole`."""

        async def send(guard: dict[str, str]) -> str:
            async with self._bucket.asked() as client:
                answer = await client.complete_multipart_upload(
                    Bucket=self._bucket.name,
                    Key=self._key,
                    UploadId=self._multipart,
                    MultipartUpload={"Parts": self._parts},
                    **guard,  # type: ignore[arg-type] # of strings alone
                )
            return answer["ETag"]

        landed = await self._land(send, old, size, digests)
        self._multipart = ""
        return landed

    async def abort(self) -> None:
        """Leave nothing of the parts, if there are any and no object is of them."""
        if not self._multipart:
            return
        ending = asyncio.ensure_future(self._abort())
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await asyncio.wait([ending])
            raise

    async def _abort(self) -> None:
        try:
            async with self._bucket.asked(_ABORT_LIMIT) as client:
                await client.abort_multipart_upload(
                    Bucket=self._bucket.name, Key=self._key, UploadId=self._multipart
                )
        except Changed:
            return  # it has gone already
        except FileError as error:
            get_logger("httpserver.files").warning("parts_left", why=str(error))

    async def _land(
        self,
        send: Callable[[dict[str, str]], Awaitable[str]],
        old: Version | None,
        size: int,
        digests: Digests,
    ) -> "Land":
        """Make the object, if the version that is there is one that was meant."""
        for _ in range(_RACES):
            check(self._condition, old)
            try:
                etag = await send(self._guard(old))
            except Changed:
                now = await version_at(self._bucket, self._key)
                if now is not None and now.upload == self._id:
                    return now.info, old  # its answer was lost
                old = now
                continue
            now = await version_at(self._bucket, self._key)
            if now is None or now.upload != self._id:
                modified = time.time()  # somebody was here since
                return FileInfo(size=size, modified=modified, etag=etag), old
            # what could not be kept with parts is known here
            known = now.info.digests or {"sha-256": digests["sha-256"]}
            return replace(now.info, digests=known), old
        raise StoreUnavailable("other uploads of this file were faster")

    def _guard(self, old: Version | None) -> dict[str, str]:
        """Return what the store is told of the version that was looked at."""
        if self._condition == ANY_VERSION:
            return {}
        return {"IfNoneMatch": "*"} if old is None else {"IfMatch": old.info.etag}


Land = tuple[FileInfo, Version | None]
"""The version that is there now, and the one that it replaced."""


def _crc32(body: bytes) -> str:
    """
    Return the checksum for a header of the request.

    Without it the client sends one behind the body when the connection has TLS, in
    chunks that stores other than Amazon's read wrongly now and then.
    """
    return b64encode(crc32(body).to_bytes(4, "big")).decode()
