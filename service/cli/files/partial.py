"""
A download on its way: `NAME.part` with its bytes, and `NAME.part.json` that tells which
version they are of, and which are missing.

    {"etag": "…", "size": 1000, "missing": [[100, 500], [700, 1000]]}

The note is made first: a `NAME.part` without one is somebody's file, and is left alone
(`NAME.2.part` is used). A name that would become too long is cut, and told apart by its
hash.

Bytes are on the disk before they are told as there, so that neither kill -9 nor a loss
of power makes a hole that nobody knows of.
"""

import asyncio
import fcntl
import hashlib
import itertools
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from service.cli.files.service import Info
from service.cli.replacing import sync_directory
from service.errors import ServiceError

__all__ = ["Damaged", "InUse", "Partial", "digest_of", "kept", "places"]

_PIECE = 4 << 20
"""Bytes that are hashed at once: what is cancelled meanwhile ends after them."""

_LONGEST_NOTE = 1 << 20
"""Characters: what is longer is none."""

_LONGEST_NAME = 255 - len(".99.part.json.new")
"""Bytes of a name that leave room for what is added to it."""


class InUse(ServiceError):
    """Another download writes this file."""


class Damaged(ServiceError):
    """What came is not what the service has."""


class Partial:
    """
    A block that holds the partial file of *target*.

    Args:
        target: Where the file goes when it is whole.
        info: The version that is wanted: what is there of another is thrown away.
        parts: Pieces that a new download is divided into.

    Attributes:
        path: The partial file, as soon as it is held.
        missing: Ranges that are still to come; who fills one moves its begin.

    Raises:
        InUse: Another download holds it.
        OSError: It can't be written.

    Concurrency: one thread at a time.
    """

    def __init__(self, target: Path, info: Info, *, parts: int) -> None:
        self._target = Path(os.path.realpath(target))  # a link stays one
        self.path, self._state = next(places(self._target))
        self._info = info
        self._parts = parts
        self._file = -1
        self.missing: list[list[int]] = []

    def __enter__(self) -> Self:
        while not self._is_here():  # who held it may have moved it away meanwhile
            self._close()
            self._open()
        try:
            known = self._known()
            self.missing = self._fresh() if known is None else known
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            with suppress(OSError):  # the first error is the one to be told
                if self.have and self._is_here():
                    self.save()
                else:
                    self._remove()
        self._close()

    @property
    def have(self) -> int:
        """Bytes that are there."""
        return self._info.size - sum(stop - start for start, stop in self.missing)

    def write(self, data: bytes, part: list[int]) -> None:
        """Write the next bytes of a missing part."""
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._file, rest, part[0])
            part[0] += written
            rest = rest[written:]

    def save(self) -> None:
        """Note which bytes are there."""
        missing = [list(each) for each in self.missing if each[0] < each[1]]
        os.fdatasync(self._file)
        told = {"etag": self._info.etag, "size": self._info.size, "missing": missing}
        new = self._state.with_name(f"{self._state.name}.new")
        new.write_text(json.dumps(told))
        new.replace(self._state)

    async def finish(self) -> None:
        """
        Give the file its name.

        Raises:
            Damaged: Its digest is not what the service told; nothing of it is kept.
            InUse: Something else has its place.

        Concurrency:
            One that is cancelled has given it, or leaves it as it was.
        """
        for name, expected in self._info.digests.items():
            if await digest_of(self._file, name) != expected:
                self._remove()
                raise Damaged(f"what came has another {name} than the service told")
        await asyncio.to_thread(os.fsync, self._file)
        if not self._is_here():  # it is another file that would be given the name
            raise InUse(f"{self.path}: something else took its place")
        self.path.replace(self._target)
        with suppress(FileNotFoundError):
            self._state.unlink()
        await asyncio.to_thread(sync_directory, self._target.parent)

    def _open(self) -> None:
        """Open and lock the first place where nobody else's file is."""
        self.path, self._state = next(
            each for each in places(self._target) if _is_free(*each)
        )
        with suppress(FileExistsError):  # or another began in this moment
            self._state.open("x").close()
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._close()
            if isinstance(error, BlockingIOError):
                why = f"{self.path}: another download writes it"
                raise InUse(why) from None
            raise

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _is_here(self) -> bool:
        """Whether the file that is open has its place still."""
        try:
            return self._file >= 0 and os.path.samestat(
                os.fstat(self._file), self.path.stat()
            )
        except FileNotFoundError:
            return False

    def _known(self) -> list[list[int]] | None:
        """Return what an earlier download of this version left to do."""
        told = _noted(self._state)
        if not told:
            return None
        missing, known = told["missing"], (told["etag"], told["size"])
        size = self._info.size
        cuts = [place for part in missing for place in part]
        is_sane = cuts == sorted(cuts) and all(0 <= each <= size for each in cuts)
        fits = _end(missing, size) <= os.fstat(self._file).st_size <= size
        same = known == (self._info.etag, size)
        return missing if same and is_sane and fits else None

    def _fresh(self) -> list[list[int]]:
        size, parts = self._info.size, self._parts
        os.ftruncate(self._file, 0)
        cuts = [size * each // parts for each in range(parts + 1)]
        return [[a, b] for a, b in itertools.pairwise(cuts) if a < b]

    def _remove(self) -> None:
        for each in (self.path, self._state) if self._is_here() else (self._state,):
            with suppress(FileNotFoundError):
                each.unlink()


def _end(missing: list[list[int]], size: int) -> int:
    """Return where the last byte that is there ends: parts at the end may lack all."""
    end = size
    for start, stop in reversed(missing):
        if stop == end:
            end = start
    return end


def places(target: Path) -> Iterator[tuple[Path, Path]]:
    """Yield where the partial file of *target* and its note may be, best first."""
    name = target.name
    if len(whole := os.fsencode(name)) > _LONGEST_NAME:
        told_apart = hashlib.sha256(whole).hexdigest()[:16]
        name = f"{whole[: _LONGEST_NAME - 20].decode(errors='ignore')}.{told_apart}"
    for each in itertools.count(1):
        part = target.with_name(f"{name}.part" if each == 1 else f"{name}.{each}.part")
        yield part, part.with_name(f"{part.name}.json")


def kept(target: Path) -> tuple[Path, int] | None:
    """Return what a download of *target* that has ended left: where, and its bytes."""
    for part, state in places(Path(os.path.realpath(target))):
        if told := _noted(state):
            return part, told["size"] - sum(b - a for a, b in told["missing"])
        if _is_free(part, state):
            break
    return None


def _is_free(part: Path, state: Path) -> bool:
    """Whether nobody else's file is there."""
    nothing = not (os.path.lexists(part) or os.path.lexists(state))
    return nothing or _noted(state) is not None


def _noted(state: Path) -> dict[str, Any] | None:
    """Return what a note tells: nothing if it is new; None if it is none of ours."""
    try:
        with state.open(encoding="utf-8") as note:
            text = note.read(_LONGEST_NOTE)
        told = json.loads(text) if text else {}
        if text:
            told["missing"] = [[int(a), int(b)] for a, b in told["missing"]]
            told |= {"etag": str(told["etag"]), "size": int(told["size"])}
    except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return None
    return told


async def digest_of(file: int, name: str) -> bytes:
    """
    Return the digest of all bytes of a file, by RFC 9530's name of the algorithm.

    Concurrency:
        In a thread; one that is cancelled leaves the file alone.
    """
    running = hashlib.new(name.replace("-", ""))
    place = 0

    def piece() -> int:
        data = os.pread(file, _PIECE, place)
        running.update(data)
        return len(data)

    while size := await asyncio.to_thread(piece):
        place += size
    return running.digest()
