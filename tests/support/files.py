"""Stores of files for tests, and what is often done with them."""

import base64
import contextlib
import hashlib
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2 as httpx

from service.files.local_store import Limits, LocalStore
from service.files.store import FileStore
from service.files.threads import Threads
from tests.support.process import ServiceProcess, serving
from tests.support.waiting import until

__all__ = [
    "CONTENT",
    "MANY",
    "files_client",
    "left_behind",
    "listed",
    "local_store",
    "problem",
    "read",
    "serving_files",
    "settings",
    "sha256",
    "stored_text",
    "text",
    "upload_head",
]

CONTENT = bytes(range(256)) * 400
"""All bytes there are, of more than one piece."""

MANY = Limits(file_bytes=1 << 62)


def settings(root: Path, **others: object) -> dict[str, object]:
    """Those of a service that has its files below *root*, and *others* of `files`."""
    named = {f"files__{name}": value for name, value in others.items()}
    return {"files__enabled": True, "files__root": root, **named}


@contextlib.contextmanager
def serving_files(root: Path, **others: object) -> Iterator[ServiceProcess]:
    """Run a service that has its files below *root*, which it is given as `root`."""
    with serving(**settings(root, **others)) as running:
        running.root = root
        yield running


@contextlib.contextmanager
def files_client(service: ServiceProcess) -> Iterator[httpx.Client]:
    """Give a client that finds no files, and leaves nothing half written."""
    for each in service.root.iterdir():
        if each.name != ".uploads":
            real = each.is_dir() and not each.is_symlink()
            shutil.rmtree(each) if real else each.unlink()
    with httpx.Client(base_url=f"{service.url}/files/", timeout=60) as found:
        yield found
    # who has sent all may have its answer before the last is tidied away
    until(lambda: left_behind(service.root) == [])


def listed(client: httpx.Client, path: str = "") -> list[str]:
    """Return the names in a directory, as it tells them."""
    return [each["name"] for each in client.get(path).json()["items"]]


def problem(answer: httpx.Response) -> int:
    """Return the status of a problem document; anything else fails."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    return answer.status_code


def upload_head(path: str, length: int, *more: str) -> bytes:
    """Return the head of an upload, to be sent by hand."""
    lines = [f"PUT /files/{path} HTTP/1.1", "Host: localhost", *more]
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


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
