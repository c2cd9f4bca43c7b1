"""
A file to the service: small ones at once, larger ones so that a cut costs little.

The upload is begun without a byte and its pieces are appended; after a cut the service
tells how much it has, and the rest is sent. Pieces grow while they are quick. They go
one after the other: the draft appends at the end of an upload and nowhere else, so
there are no parallel parts of one upload.

Source: draft-ietf-httpbis-resumable-upload-12
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from service.cli.files.patience import Patience
from service.cli.files.remembering import Remembered
from service.cli.files.service import FileService, Info, NoFile, digests_in
from service.cli.files.sources import FileSource, Source
from service.client.answers import Response
from service.client.errors import UpstreamError
from service.errors import ServiceError
from service.files.digests import digest_field
from service.getting.calling import OtherAnswer, Refused

__all__ = ["AlreadyThere", "Kept", "Uploads"]

_WHOLE = 1 << 20
"""Bytes up to which a file is sent in one request: it costs little to do it again."""

_LEAST, _MOST = 256 << 10, 16 << 20
"""Bytes of a piece."""

_QUICK = 1.0
"""Seconds below which a piece may be twice as large next time."""

_PASSES = frozenset({409, 429, 500, 502, 503, 504})

_MENDED = frozenset({401, 403, 507})
"""A new token or more room helps; until then the service keeps what it has."""

_NOT_FOUND, _FAILED = 404, 412
_PARTIAL = "application/partial-upload"

Advance = Callable[[int, int], None]


class AlreadyThere(ServiceError):
    """Another file has this path, and it is not to be replaced."""


@dataclass(frozen=True, slots=True)
class Kept:
    """
    What became of an upload.

    Attributes:
        info: The version that is there now.
        created: Whether no file was there before.
    """

    info: Info
    created: bool


class Uploads:
    """
    Puts files.

    Args:
        service: Takes them.
        retries: Attempts in a row that may bring nothing.
        replace: Whether what is there may be replaced.

    Concurrency:
        Tasks of one event loop.
    """

    def __init__(self, service: FileService, *, retries: int, replace: bool) -> None:
        self._service = service
        self._retries = retries
        self._head = {} if replace else {"if-none-match": "*"}

    async def put(self, path: str, source: Source, advance: Advance) -> Kept:
        """
        Put a file; the service shows it when it is whole and compared.

        Raises:
            AlreadyThere: One is there that may not be replaced.
            Refused, ClientError: The service refuses, or does not answer.
            ServiceError: The source can't be read.
        """
        if isinstance(source, FileSource):
            await source.prepare()
        try:
            if source.size is not None and source.size <= _WHOLE:
                return await self._at_once(path, source, advance)
            upload = _Upload(self._service, path, source, retries=self._retries)
            return await upload.done(self._head, advance)
        except Refused as error:
            if error.status != _FAILED:
                raise
        info = await self._service.info(path)
        if source.digest and info.digests.get("sha-256") == source.digest:
            return Kept(info, created=False)
        raise AlreadyThere(f"{path}: a file is there already")

    def is_resumable(self, path: str, source: Source) -> bool:
        """Whether a later command can go on with this upload."""
        known = _remembered(self._service, path, source, self._head)
        return known is not None and bool(known.get())

    async def _at_once(self, path: str, source: Source, advance: Advance) -> Kept:
        data = await source.read(0, _WHOLE)
        advance(0, len(data))
        digest = {"repr-digest": digest_field({"sha-256": source.digest or b""})}
        answer = await self._service.call(
            "PUT", f"/files/{quote(path)}", content=data, headers=self._head | digest
        )
        advance(len(data), len(data))
        return _kept(answer, len(data), source.digest)


class _Upload:
    """One upload of several pieces."""

    def __init__(
        self, service: FileService, path: str, source: Source, *, retries: int
    ) -> None:
        self._service = service
        self._path = path
        self._source = source
        self._patience = Patience(retries)
        self._place = ""
        self._offset = 0
        self._size = 4 * _LEAST
        self._hashed = (0, hashlib.sha256())

    async def done(self, head: dict[str, str], advance: Advance) -> Kept:
        """Begin it or go on with it, and send all that is missing."""
        known = _remembered(self._service, self._path, self._source, head)
        if known is not None:
            kept = await self._resumed(known.get())
            if kept is not None:
                known.forget()
                return kept
        try:
            if not self._place:
                await self._begin(head)
                if known is not None:
                    known.put(self._place)
            kept = await self._sent(advance)
        except BaseException as error:
            if known is not None and _is_for_good(error):
                known.forget()
            if known is None or known.get() != self._place:
                await self._give_up()
            raise
        if known is not None:
            known.forget()
        return kept

    async def _resumed(self, place: str) -> Kept | None:
        """Go on at *place* if it is there; return the file if it is whole already."""
        if not place:
            return None
        self._place = place
        try:
            complete = await self._look()
        except Refused as error:
            if error.status != _NOT_FOUND:
                raise
            complete, kept = True, None
        else:
            kept = await self._there() if complete else None
        if complete and kept is None:  # it was replaced or removed since
            self._place, self._offset = "", 0
        return kept

    async def _begin(self, head: dict[str, str]) -> None:
        head = {**head, "upload-complete": "?0"}
        if self._source.size is not None and self._source.digest is not None:
            head["upload-length"] = str(self._source.size)
            head["repr-digest"] = digest_field({"sha-256": self._source.digest})
        place = f"/files/{quote(self._path)}"
        answer = await self._service.call("PUT", place, content=b"", headers=head)
        place = urlsplit(answer.headers.get("location", "")).path
        if not place.startswith("/"):
            raise OtherAnswer("what answers takes no uploads in pieces")
        self._place = place

    async def _sent(self, advance: Advance) -> Kept:
        while True:
            advance(self._offset, self._source.size or 0)
            data = await self._source.read(self._offset, self._size)
            self._hash(data)
            last = await self._is_last(data)
            began = time.monotonic()
            try:
                answer = await self._append(data, last=last)
            except (Refused, UpstreamError) as error:
                if isinstance(error, Refused) and error.status not in _PASSES:
                    raise
                kept = await self._after(error)
                if kept is not None:
                    return kept
                continue
            self._patience.progressed()
            self._offset += len(data)
            if last:
                advance(self._offset, self._offset)
                return _kept(answer, self._offset, self._digest())
            quick = time.monotonic() - began < _QUICK
            self._size = min(self._size * 2, _MOST) if quick else self._size

    async def _is_last(self, data: bytes) -> bool:
        if self._source.size is not None:
            return self._offset + len(data) >= self._source.size
        return len(data) < self._size  # only the end of a stream is shorter

    async def _append(self, data: bytes, *, last: bool) -> Response:
        head = {
            "content-type": _PARTIAL,
            "upload-offset": str(self._offset),
            "upload-complete": "?1" if last else "?0",
        }
        if self._source.digest is None:  # the whole file's is not known yet
            digest = await asyncio.to_thread(_sha256, data)
            head["content-digest"] = digest_field({"sha-256": digest})
        return await self._service.call(
            "PATCH", self._place, content=data, headers=head, repeat=False
        )

    async def _after(self, error: Exception) -> Kept | None:
        """Ask how much got through; return the file if all did."""
        before = self._offset
        self._size = max(self._size // 2, _LEAST)
        await self._patience.wait(error)
        try:
            complete = await self._look()
        except Refused as gone:
            # killed between the two, a service has the file and no upload any more
            kept = await self._there() if gone.status == _NOT_FOUND else None
            if kept is None:
                raise
            return kept
        if self._offset > before:
            self._patience.progressed()
        return await self._found() if complete else None

    async def _look(self) -> bool:
        """Learn how much is there; whether that is all."""
        answer = await self._service.call("HEAD", self._place)
        offset = answer.headers.get("upload-offset", "")
        if not (offset.isascii() and offset.isdigit()):
            raise OtherAnswer("what answers takes no uploads in pieces")
        self._offset = int(offset)
        return answer.headers.get("upload-complete") == "?1"

    async def _found(self) -> Kept:
        """Return the file of an upload whose answer was lost."""
        kept = await self._there()
        if kept is None:
            raise ServiceError(f"{self._path} was replaced by another since")
        return kept

    async def _there(self) -> Kept | None:
        """Return the file that is there if it is what was to be sent."""
        try:
            info = await self._service.info(self._path)
        except NoFile:
            return None
        if info.digests.get("sha-256") != self._digest():
            return None
        return Kept(info, created=False)

    async def _give_up(self) -> None:
        """Leave nothing behind that nobody could go on with."""
        if self._place:
            try:
                async with asyncio.timeout(5):
                    await self._service.call("DELETE", self._place, repeat=False)
            except (ServiceError, TimeoutError):
                return  # it expires

    def _hash(self, data: bytes) -> None:
        """Take what was not hashed yet: what is sent twice is hashed once."""
        if self._source.digest is not None:
            return
        hashed, running = self._hashed
        running.update(data[max(0, hashed - self._offset) :])
        self._hashed = (max(hashed, self._offset + len(data)), running)

    def _digest(self) -> bytes:
        return self._source.digest or self._hashed[1].digest()


def _remembered(
    service: FileService, path: str, source: Source, head: dict[str, str]
) -> Remembered | None:
    """Return where it is noted how the upload goes on; None for a pipe's."""
    if source.digest is None:
        return None
    url = service.caller.ask.url
    return Remembered(url, path, source.digest.hex(), sorted(head))


def _is_for_good(error: BaseException) -> bool:
    """Whether an upload will never come to an end."""
    return isinstance(error, Refused) and error.status not in _PASSES | _MENDED


def _kept(answer: Response, size: int, digest: bytes | None) -> Kept:
    """Return what was stored; it must be what was sent."""
    digests = digests_in(answer)
    if digests.get("sha-256", digest) != digest:
        raise ServiceError("the service has stored something else than was sent")
    info = Info(size=size, etag=answer.headers.get("etag", ""), digests=digests)
    return Kept(info, created=answer.status == 201)  # noqa: PLR2004 - Created


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
