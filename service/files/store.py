"""
The port that files are kept behind, and the values that go through it.

Directories are not kept: a directory is there as long as a file is in it, as in an
object store, so that every store answers alike. Paths come from `service.files.paths`
alone. What a store acknowledges is durable, and every version of a file is seen whole
or not at all, whatever is cut or killed.
"""

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from service.files.conditions import ANY_VERSION, Condition
from service.files.digests import Digests

__all__ = [
    "Directory",
    "Entry",
    "FileInfo",
    "FileStore",
    "OpenFile",
    "Page",
    "Stored",
    "Upload",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInfo:
    """
    One version of a file.

    Attributes:
        size: In bytes.
        modified: When it was stored, in seconds since 1970.
        etag: Strong tag of the version, with its quotes.
        digests: Digests of the content that are known, by RFC 9530's names.
    """

    size: int
    modified: float
    etag: str
    digests: Digests = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """
    What a caller says of a file that it gives.

    Attributes:
        condition: Which version must be there now.
        digests: What the content must have; all that are given are verified.
        size: Bytes that will come, where that is known: a quota is asked before them.
    """

    condition: Condition = ANY_VERSION
    digests: Digests = field(default_factory=dict)
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """
    What became of an upload.

    Attributes:
        info: The version that is there now.
        created: Whether no file was there before.
    """

    info: FileInfo
    created: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    A file in a directory.

    Attributes:
        name: Its last name.
        size: In bytes.
        modified: When it was stored, in seconds since 1970.
    """

    name: str
    size: int
    modified: float


@dataclass(frozen=True, slots=True)
class Directory:
    """
    A directory in a directory.

    Attributes:
        name: Its last name.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Page:
    """
    A part of a directory.

    Attributes:
        entries: Files and directories, by name in the order of code points.
        last: Where the next page begins: `after` of the next call; empty at the end.
    """

    entries: tuple[Entry | Directory, ...] = field(default=())
    last: str = ""


class OpenFile(Protocol):
    """
    One version of a file, being read: a later upload does not change it.

    Attributes:
        info: Which version.
    """

    info: FileInfo

    def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """
        Yield the bytes from *start* up to *stop*, in pieces of the store's size.

        Args:
            start: First byte, from 0.
            stop: Behind the last byte; at most the file's size.

        Raises:
            StoreUnavailable: They can't be read to their end.
        """


class FileStore(Protocol):
    """
    Where files are.

    Concurrency: any number of tasks of one event loop; nothing blocks it. A cancelled
    call leaves nothing behind. Several stores may share one place: conditions hold
    between them too.
    """

    async def put(
        self, path: str, chunks: AsyncIterable[bytes], upload: Upload | None = None
    ) -> Stored:
        """
        Keep the bytes of *chunks* as the file at *path*, in place of what is there.

        Args:
            path: From `file_path`.
            chunks: The content; if it raises, nothing is kept and the error goes on.
            upload: What is said of it; nothing without.

        Raises:
            PreconditionFailed: Another version is there, before or after the upload.
            TooLarge, QuotaExceeded, NoSpace: There is no room for it.
            DigestMismatch: The content is not what was announced.
            PathConflict: A file is where a directory would have to be, or the reverse.
        """

    def open(self, path: str) -> AbstractAsyncContextManager[OpenFile]:
        """
        Return the file at *path*, to be read within the context.

        Raises:
            NotFound: No file is there.
        """

    async def stat(self, path: str) -> FileInfo:
        """
        Return the version at *path*.

        Raises:
            NotFound: No file is there.
        """

    async def delete(self, path: str, condition: Condition = ANY_VERSION) -> None:
        """
        Remove the file at *path*, and directories that are empty without it.

        Raises:
            NotFound: No file is there.
            PreconditionFailed: Another version is there.
        """

    async def list(self, path: str, *, after: str = "", limit: int = 1000) -> Page:
        """
        Return the files and directories right below *path*.

        Args:
            path: From `directory_path`; empty for the root, which is always there.
            after: Name behind which the page begins.
            limit: Most entries, from 1; a page may have fewer and not be the last.

        Raises:
            NotFound: No directory is there.
        """
