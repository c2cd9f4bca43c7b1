"""Stores of files for tests, and what is often done with them."""

import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

from service.files.local_store import Limits, LocalStore
from service.files.store import FileStore
from service.files.threads import Threads

__all__ = [
    "MANY",
    "left_behind",
    "local_store",
    "read",
    "settings",
    "sha256",
    "stored_text",
    "text",
]

MANY = Limits(file_bytes=1 << 62)


def settings(root: Path, **others: object) -> dict[str, object]:
    """Those of a service that has its files below *root*, and *others* of `files`."""
    named = {f"files__{name}": value for name, value in others.items()}
    return {"files__enabled": True, "files__root": root, **named}


def sha256(content: bytes) -> str:
    """The value of a digest field."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


async def text(*pieces: bytes) -> AsyncIterator[bytes]:
    """Yield *pieces*, as a body does."""
    for piece in pieces:
        yield piece


async def read(
    store: FileStore, path: str, start: int = 0, stop: int | None = None
) -> bytes:
    """A part of a file, or all of it."""
    async with store.open(path) as file:
        end = file.info.size if stop is None else stop
        return b"".join([chunk async for chunk in file.chunks(start, end)])


async def stored_text(store: FileStore, path: str, content: str) -> None:
    """Put a small file."""
    await store.put(path, text(content.encode()))


@contextlib.asynccontextmanager
async def local_store(folder: Path, limits: Limits = MANY) -> AsyncIterator[LocalStore]:
    """A store below *folder*, counted and swept; no thread is left of it."""
    threads = Threads(4)
    store = LocalStore(folder / "root", limits=lambda: limits, threads=threads)
    try:
        await threads.run(store.recover)
        yield store
    finally:
        threads.close()
        store.close()


def left_behind(root: Path) -> list[str]:
    """What the hidden directory holds besides the lock."""
    hidden = root / ".uploads"
    return sorted(each.name for each in hidden.iterdir() if each.name != "usage")
