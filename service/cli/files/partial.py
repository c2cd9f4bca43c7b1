"""
A download on its way: `NAME.part` with its bytes, and `NAME.part.json` that tells which
version they are of, and which are missing.

    {"etag": "…", "size": 1000, "missing": [[100, 500], [700, 1000]]}

Bytes are on the disk before they are told as there, so that neither kill -9 nor a loss
of power makes a hole that nobody knows of.
"""

import fcntl
import hashlib
import itertools
import json
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from service.cli.files.service import Info
from service.errors import ServiceError

__all__ = ["Damaged", "InUse", "Partial", "digest_of"]


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
        missing: Ranges that are still to come; who fills one moves its begin.

    Raises:
        InUse: Another download holds it.
        OSError: It can't be written.

    Concurrency: one thread at a time.
    """

    def __init__(self, target: Path, info: Info, *, parts: int) -> None:
        self._target = target.resolve()  # a link stays one
        name = self._target.name
        self.path = self._target.with_name(f"{name}.part")
        self._state = self._target.with_name(f"{name}.part.json")
        self._info = info
        self._parts = parts
        self._file = -1
        self.missing: list[list[int]] = []

    def __enter__(self) -> Self:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(self.path, flags, 0o666)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise InUse(f"{self.path}: another download writes it") from None
        known = self._known()
        self.missing = self._fresh() if known is None else known
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and self.path.exists():
            if self.have:
                with suppress(OSError):  # the first error is the one to be told
                    self.save()
            else:
                self._remove()
        os.close(self._file)

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

    def finish(self) -> None:
        """
        Give the file its name.

        Raises:
            Damaged: Its digest is not what the service told; nothing of it is kept.
        """
        for name, expected in self._info.digests.items():
            if digest_of(self._file, name) != expected:
                self._remove()
                raise Damaged(f"what came has another {name} than the service told")
        os.fsync(self._file)
        self.path.replace(self._target)
        with suppress(FileNotFoundError):
            self._state.unlink()
        folder = os.open(self._target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _known(self) -> list[list[int]] | None:
        """Return what an earlier download of this version left to do."""
        try:
            told: dict[str, Any] = json.loads(self._state.read_text())
            missing = [[int(a), int(b)] for a, b in told["missing"]]
            known = (told["etag"], told["size"])
        except (OSError, ValueError, LookupError, TypeError):
            return None
        size = self._info.size
        cuts = [place for part in missing for place in part]
        is_sane = cuts == sorted(cuts) and all(0 <= each <= size for each in cuts)
        # behind the last byte that is there
        end = cuts[-2] if cuts and cuts[-1] == size else size
        fits = end <= os.fstat(self._file).st_size <= size
        same = known == (self._info.etag, size)
        return missing if same and is_sane and fits else None

    def _fresh(self) -> list[list[int]]:
        size, parts = self._info.size, self._parts
        os.ftruncate(self._file, 0)
        cuts = [size * each // parts for each in range(parts + 1)]
        return [[a, b] for a, b in itertools.pairwise(cuts) if a < b]

    def _remove(self) -> None:
        for each in (self.path, self._state):
            with suppress(FileNotFoundError):
                each.unlink()


def digest_of(file: int, name: str) -> bytes:
    """Return the digest of all bytes of a file, by RFC 9530's name of the algorithm."""
    running = hashlib.new(name.replace("-", ""))
    place = 0
    while data := os.pread(file, 1 << 20, place):
        running.update(data)
        place += len(data)
    return running.digest()
