"""
A file system in memory that forgets what was not synced.

`crash` gives what a machine might find after a power cut: of the writes and names since
the last sync some are lost, some torn, and they are kept in any order. `fail` may raise
for an operation, `budget` ends the run at an operation, `short` takes a few bytes of
each write only.
"""

import random
from collections.abc import Callable
from pathlib import Path

from service.commitlog.errors import LogLocked

__all__ = ["CrashFiles", "PowerCut"]


class PowerCut(BaseException):
    """The machine stops here."""


class _Node:
    def __init__(self, data: bytes = b"") -> None:
        self.data, self.synced = bytearray(data), bytes(data)
        self.pending: list[tuple[int, bytes | None]] = []

    def apply(self, position: int, data: bytes | None) -> None:
        """Write; None truncates."""
        if data is None:
            del self.data[position:]
            return
        self.data.extend(bytes(max(0, position - len(self.data))))
        self.data[position : position + len(data)] = data

    def after_crash(self, rng: random.Random) -> "_Node":
        survivor = _Node(self.synced)
        kept = [each for each in self.pending if rng.random() < 0.5]
        if rng.random() < 0.5:
            rng.shuffle(kept)
        for position, data in kept:
            torn = data and rng.random() < 0.3
            survivor.apply(position, data[: rng.randrange(len(data))] if torn else data)
        return _Node(bytes(survivor.data))


class CrashFiles:
    """See the module; it is a `FileSystem` of one directory."""

    def __init__(self) -> None:
        self.current: dict[str, _Node] = {}
        self.synced: dict[str, _Node] = {}
        self.locked = False
        self.budget: int | None = None
        self.fail: Callable[[str, str], None] = lambda _operation, _name: None
        self.short = 0

    def crash(self, rng: random.Random) -> "CrashFiles":
        after, nodes = CrashFiles(), {}
        for name in sorted({*self.current, *self.synced}):
            new, old = self.current.get(name), self.synced.get(name)
            node = new if rng.random() < 0.5 else old
            if node:
                nodes[name] = node.after_crash(rng)
        after.current, after.synced = dict(nodes), dict(nodes)
        return after

    def spend(self, operation: str, name: str) -> None:
        if self.budget is not None:
            self.budget -= 1
            if self.budget < 0:
                raise PowerCut
        self.fail(operation, name)

    def open(self, path: Path, *, create: bool = False, write: bool = True) -> "_File":
        self.spend("create" if create else "open", path.name)
        if create:
            self.current[path.name] = _Node()
        if path.name not in self.current:
            raise FileNotFoundError(path)
        return _File(self, path.name, self.current[path.name])

    def names(self, directory: Path) -> list[str]:
        return sorted(self.current)

    def remove(self, path: Path) -> None:
        self.spend("remove", path.name)
        self.current.pop(path.name, None)

    def rename(self, path: Path, target: Path) -> None:
        self.spend("rename", path.name)
        self.current[target.name] = self.current.pop(path.name)

    def sync_directory(self, directory: Path) -> None:
        self.spend("sync_directory", "")
        self.synced = dict(self.current)

    def lock(self, path: Path) -> "_Lock":
        if self.locked:
            raise LogLocked(str(path))
        self.locked = True
        return _Lock(self, path.name, _Node())


class _File:
    def __init__(self, files: CrashFiles, name: str, node: _Node) -> None:
        self._files, self._name, self._node = files, name, node

    def read(self, position: int, size: int) -> bytes:
        return bytes(self._node.data[position : position + size])

    def write(self, position: int, data: bytes) -> int:
        data = bytes(data[: self._files.short or len(data)])
        self._node.pending.append((position, data))
        self._files.spend("write", self._name)
        self._node.apply(position, data)
        return len(data)

    def truncate(self, size: int) -> None:
        self._files.spend("truncate", self._name)
        self._node.pending.append((size, None))
        self._node.apply(size, None)

    def sync(self) -> None:
        self._files.spend("sync", self._name)
        self._node.synced, self._node.pending = bytes(self._node.data), []

    def size(self) -> int:
        return len(self._node.data)

    def close(self) -> None:
        pass


class _Lock(_File):
    def close(self) -> None:
        self._files.locked = False
