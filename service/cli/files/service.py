"""The file server as its clients see it: what is there, and the calls that ask."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import typer

from service.cli.input import is_text
from service.client.answers import Response
from service.errors import ServiceError
from service.files.digests import Digests, parse_digests
from service.getting.calling import Caller, OtherAnswer, Refused
from service.top.words import plain

__all__ = [
    "Changed",
    "FileService",
    "Info",
    "IsDirectory",
    "NoFile",
    "digests_in",
    "spelled",
]

_FILES = "/files/"
_NO_FILE = "There is no such file."
_PAGE = 1000
_PARTIAL, _REDIRECT, _NOT_FOUND, _FAILED = 206, 308, 404, 412

_AS_IT_IS = {"accept-encoding": "identity"}
"""Bytes of a file are counted from its begin: none may be compressed."""


class NoFile(ServiceError):
    """No file or directory has this path."""


class IsDirectory(ServiceError):
    """A directory has this path."""


class Changed(ServiceError):
    """Another version is there than the one that was begun with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """
    One version of a file.

    Attributes:
        size: In bytes.
        etag: Tag of the version.
        digests: Digests of the content that the service told.
        modified: When it was stored, as the header tells it.
    """

    size: int
    etag: str
    digests: Digests = field(default_factory=dict)
    modified: str = ""


class FileService:
    """
    Asks a file server.

    Args:
        caller: Makes the calls.
        streams: Most calls at once.

    Attributes:
        caller: The same.

    Concurrency:
        Tasks of one event loop; no more calls are under way than streams.
    """

    def __init__(self, caller: Caller, *, streams: int) -> None:
        self.caller = caller
        self._slots = asyncio.Semaphore(streams)

    async def call(self, method: str, path: str, **options: Any) -> Response:
        """Make a call as `Caller.call`, when there is a place for it."""
        async with self._slots:
            return await self.caller.call(method, path, **options)

    async def info(self, path: str) -> Info:
        """
        Return the version that is at *path*.

        Raises:
            NoFile: Nothing is.
            IsDirectory: A directory is.
        """
        place = _FILES + quote(path)
        try:
            answer = await self.call("HEAD", place, headers=_AS_IT_IS)
        except Refused as error:
            if error.status == _REDIRECT and error.location.endswith("/"):
                raise IsDirectory(f"{path} is a directory") from None
            if error.status == _NOT_FOUND:  # HEAD has no words
                await self._missing(path, quote(path))
            raise
        size = answer.headers.get("content-length", "")
        etag = answer.headers.get("etag", "")
        if not size.isdigit() or not etag:
            raise OtherAnswer("what answers is no file server")
        modified = answer.headers.get("last-modified", "")
        return Info(
            size=int(size), etag=etag, digests=digests_in(answer), modified=modified
        )

    @asynccontextmanager
    async def content(
        self, path: str, info: Info, start: int, stop: int
    ) -> AsyncIterator[Response]:
        """
        Give the answer with the bytes from *start* up to *stop* of a version.

        Raises:
            Changed: It is there no more.
        """
        head = {"if-match": info.etag, **_AS_IT_IS}
        part = (start, stop) != (0, info.size)
        if part:
            head |= {"range": f"bytes={start}-{stop - 1}", "if-range": info.etag}
        try:
            async with (
                self._slots,
                self.caller.stream(_FILES + quote(path), headers=head) as answer,
            ):
                self._check(answer, info, f"bytes {start}-{stop - 1}/", part=part)
                yield answer
        except Refused as error:
            if error.status in (_FAILED, _NOT_FOUND):
                raise Changed(f"{path} was changed meanwhile") from None
            raise

    def _check(self, answer: Response, info: Info, said: str, *, part: bool) -> None:
        if answer.headers.get("etag") != info.etag:
            raise Changed("it was changed meanwhile")
        if part and (
            answer.status != _PARTIAL
            or not answer.headers.get("content-range", "").startswith(said)
        ):
            raise OtherAnswer("another part came than was asked for")

    async def entries(self, directory: str) -> AsyncIterator[dict[str, Any]]:
        """
        Yield what is right below a directory, by name.

        Args:
            directory: Its path, with a slash at its end; empty for the root.

        Raises:
            NoFile: No directory is there.
        """
        place = quote(directory)
        query: Mapping[str, Any] = {"limit": _PAGE}
        while True:
            try:
                async with self._slots:
                    page = await self.caller.json("GET", _FILES + place, query=query)
            except Refused as error:
                if error.problem.get("detail") == _NO_FILE:
                    raise NoFile(f"{directory}: there is no such directory") from None
                raise
            for each in _items(page):
                yield each
            following = page.get("next")
            if not following:
                return
            query = dict(parse_qsl(urlsplit(str(following)).query))

    async def walk(self, directory: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """
        Yield path and entry of all files below a directory.

        Raises:
            NoFile: No directory is there; one that goes meanwhile is left out.
        """
        waiting = [directory]
        while waiting:
            here = waiting.pop()
            inner = []
            try:
                async for each in self.entries(here):
                    path = here + each["name"]
                    if each["type"] == "directory":
                        inner.append(f"{path}/")
                    else:
                        yield path, each
            except NoFile:
                if here == directory:
                    raise
            waiting += reversed(inner)

    async def delete(self, path: str) -> None:
        """
        Remove a file.

        Raises:
            NoFile: None is there.
        """
        place = _FILES + quote(path)
        try:
            await self.call("DELETE", place)
        except Refused as error:
            if error.problem.get("detail") == _NO_FILE:
                if error.attempts > 1:  # an answer was lost
                    return
                await self._missing(path, f"{quote(path)}/", "limit=1")
            raise

    async def _missing(self, path: str, place: str, query: str = "") -> None:
        """Tell in words why nothing is at *path*: what GET of *place* says."""
        try:
            async with (
                self._slots,
                self.caller.stream(f"{_FILES}{place}?{query}".rstrip("?")),
            ):
                raise IsDirectory(f"{path} is a directory")
        except Refused as error:
            if error.problem.get("detail") != _NO_FILE:
                raise
        raise NoFile(f"{path}: there is no such file")


def spelled(path: str) -> str:
    """
    Return a path as the service has it: slashes before its first name are left out.

    Raises:
        BadParameter: It would lead elsewhere than to the files, or is no text.
    """
    if not is_text(path):
        raise typer.BadParameter(f"{plain(path)}: a path is text in UTF-8")
    path = path.lstrip("/")
    names = path.removesuffix("/").split("/")
    if path and {"", ".", ".."} & {*names}:
        raise typer.BadParameter(f"{path}: a path has no empty or dotted names")
    return path


def digests_in(answer: Response) -> Digests:
    """Return the digests of the whole file that an answer tells; those it can."""
    try:
        return parse_digests(answer.headers["repr-digest"])
    except (KeyError, ValueError):
        return {}


def _items(page: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of a listing; a name that leads elsewhere is none of ours."""
    items = page.get("items")
    if not isinstance(items, list):
        raise OtherAnswer("what answers is no file server")
    for each in items:
        name = each.get("name") if isinstance(each, dict) else None
        if not isinstance(name, str) or name in ("", ".", "..") or {*"/\\\0"} & {*name}:
            raise OtherAnswer("what answers is no file server: a name is none")
        if each.get("type") not in ("file", "directory"):
            raise OtherAnswer("what answers is no file server: a type is none")
    return items
