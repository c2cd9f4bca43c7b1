"""
Files as objects of an S3-compatible store: for more than a disk holds, and for replicas
that share no volume.

A file is an object, its path the end of the key, and nothing else is kept: other
programs read and write the same bucket. What only a disk has is done as well as an
object store can: directories are prefixes, and whether a file stands where a directory
would have to be is asked before an upload and not at its end.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

from service.files.conditions import ANY_VERSION, Condition
from service.files.digests import Digests, Hashing
from service.files.errors import NotFound, PathConflict, PreconditionFailed
from service.files.local_store import Limits
from service.files.s3_client import Bucket
from service.files.s3_errors import Changed
from service.files.s3_listing import is_directory, read_page
from service.files.s3_reading import S3File
from service.files.s3_upload import (
    MOST_BYTES,
    Land,
    ObjectUpload,
    equal_parts,
    part_bytes,
)
from service.files.s3_usage import BucketUsage
from service.files.s3_versions import Version, check, version_at
from service.files.staging import Staged
from service.files.store import FileInfo, OpenFile, Page, Stored, Upload

__all__ = ["S3Store"]

_NO_UPLOAD = Upload()


class S3Store:
    """
    Files in a bucket.

    Args:
        bucket: Where they are.
        limits: Gives how much is kept; asked each time.

    Attributes:
        usage: What the files take, where a quota wants to know.

    Concurrency: tasks of one event loop; other processes may share the bucket.
    """

    def __init__(self, bucket: Bucket, *, limits: Callable[[], Limits]) -> None:
        self._bucket = bucket
        self._limits = limits
        self.usage = BucketUsage(self._possible)

    def _possible(self) -> Limits:
        limits = self._limits()
        return limits._replace(file_bytes=min(limits.file_bytes, MOST_BYTES))

    async def put(
        self, path: str, chunks: AsyncIterable[bytes], upload: Upload | None = None
    ) -> Stored:
        """Keep the bytes of *chunks* as the file at *path*."""
        said = upload or _NO_UPLOAD
        old = await self._checked(path, said)
        digests = await _digests(chunks, said)
        sending = _Sending(
            ObjectUpload(self._bucket, self._bucket.key(path), said.condition),
            self.usage,
            Hashing(digests),
            old,
        )
        parts = equal_parts(chunks, part_bytes(said.size or self._limits().file_bytes))
        async with aclosing(parts):
            info, replaced = await sending.all(parts, digests)
        self.usage.add(
            info.size - (replaced.info.size if replaced else 0),
            1 if replaced is None else 0,
        )
        return Stored(info, created=replaced is None)

    @asynccontextmanager
    async def open(self, path: str) -> AsyncIterator[OpenFile]:
        """Give the file at *path*."""
        version = await self._version(path)
        yield S3File(self._bucket, self._bucket.key(path), version)

    async def stat(self, path: str) -> FileInfo:
        """Return the version at *path*."""
        return (await self._version(path)).info

    async def delete(self, path: str, condition: Condition = ANY_VERSION) -> None:
        """Remove the file at *path*."""
        version = await self._version(path)
        check(condition, version)
        guard = {} if condition == ANY_VERSION else {"IfMatch": version.info.etag}
        try:
            async with self._bucket.asked() as client:
                await client.delete_object(
                    Bucket=self._bucket.name,
                    Key=self._bucket.key(path),
                    **guard,  # type: ignore[arg-type] # of strings alone
                )
        except Changed:
            raise PreconditionFailed from None
        self.usage.add(-version.info.size, -1)

    async def list(self, path: str, *, after: str = "", limit: int = 1000) -> Page:
        """Return what is right below *path*."""
        return await read_page(self._bucket, path, after=after, limit=limit)

    async def _version(self, path: str) -> Version:
        version = await version_at(self._bucket, self._bucket.key(path))
        if version is None:
            raise NotFound
        return version

    async def _checked(self, path: str, said: Upload) -> Version | None:
        """Refuse at once what would be refused at the end; return what is there."""
        names = path.split("/")
        above = ["/".join(names[:depth]) for depth in range(1, len(names))]
        key = self._bucket.key
        (old, *files), below = await asyncio.gather(
            asyncio.gather(
                *(version_at(self._bucket, key(at)) for at in [path, *above])
            ),
            is_directory(self._bucket, path),
        )
        if below or any(files):
            raise PathConflict
        check(said.condition, old)
        size, replaced = said.size or 0, old.info.size if old else 0
        self.usage.check(size, size - replaced, files=0 if old else 1)
        return old


class _Sending:
    """
    The content of an upload on its way.

    Args:
        upload: Where it goes.
        usage: What it is counted in.
        hashing: What it must come to.
        old: What it will take the place of.
    """

    def __init__(
        self,
        upload: ObjectUpload,
        usage: BucketUsage,
        hashing: Hashing,
        old: Version | None,
    ) -> None:
        self._upload = upload
        self._usage = usage
        self._hashing = hashing
        self._old = old
        self._size = 0

    async def all(self, parts: AsyncIterator[bytes], known: Digests) -> Land:
        """Send it; leave nothing behind if it does not come to its end."""
        try:
            first = await anext(parts, b"")
            await self._take(first)
            second = await anext(parts, None)
            if second is None:
                digests = self._hashing.verified()
                return await self._upload.whole(first, digests, self._old)
            await self._upload.begin(known)
            await self._upload.part(first)
            del first
            await self._take(second)
            await self._upload.part(second)
            del second
            async for part in parts:
                await self._take(part)
                await self._upload.part(part)
                del part
            digests = self._hashing.verified()
            return await self._upload.complete(self._size, digests, self._old)
        except BaseException:
            await self._upload.abort()
            raise
        finally:
            self._usage.arriving -= self._size

    async def _take(self, part: bytes) -> None:
        replaced = self._old.info.size if self._old else 0
        self._size += len(part)
        self._usage.arriving += len(part)
        self._usage.check(self._size, -replaced, files=0 if self._old else 1)
        # hashes of large blocks are computed without the interpreter's lock
        await asyncio.to_thread(self._hashing.update, part)


async def _digests(chunks: AsyncIterable[bytes], said: Upload) -> Digests:
    """Return what the content must have; what is here already is read for it."""
    if not isinstance(chunks, Staged) or "sha-256" in said.digests:
        return said.digests
    hashing = Hashing(said.digests)
    async for data in chunks:
        await asyncio.to_thread(hashing.update, data)
    return hashing.verified()
