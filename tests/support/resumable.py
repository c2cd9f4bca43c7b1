"""
A client of uploads that can be resumed (draft-ietf-httpbis-resumable-upload), to test:
it reads interim answers, stops where it is told to, and goes on.
"""

import contextlib
import socket
from collections.abc import Mapping
from pathlib import Path

import httpx2 as httpx

from tests.support.raw_http import RawConnection
from tests.support.waiting import until

__all__ = ["PARTIAL", "ResumableUpload"]

PARTIAL = "application/partial-upload"
_VERSION = {"upload-draft-interop-version": "8"}


class ResumableUpload:
    """
    One upload.

    Args:
        base: URL of the service.
        content: The whole file.

    Attributes:
        url: Of the upload's resource, once it is known.
        interim: Headers of the interim answer that told it.
    """

    def __init__(self, base: str, content: bytes) -> None:
        self.base = base
        self.content = content
        self.url = ""
        self.interim: dict[str, str] = {}

    def begin(self, path: str, *, size: int = 0, **headers: str) -> httpx.Response:
        """Create it with the first *size* bytes, and say that more will come."""
        said = {"upload-complete": "?0", **_dashed(headers)}
        answer = httpx.put(
            f"{self.base}/files/{path}", content=self.content[:size], headers=said
        )
        if answer.is_success:
            self.url = self.base + answer.headers["location"]
        return answer

    def begin_and_cut(
        self, path: str, *, size: int, root: Path, **headers: str
    ) -> None:
        """
        Send all of it in one request, and cut the connection after *size* bytes.

        Some of them are below *root* by then, where the service keeps its files: what
        asks for the upload afterwards ends what the service has not yet looked at.
        """
        host, _, port = self.base.removeprefix("http://").partition(":")
        said = {
            "host": host,
            "content-length": str(len(self.content)),
            "upload-complete": "?1",
            **_VERSION,
            **_dashed(headers),
        }
        with RawConnection(int(port)) as connection:
            connection.send(_head("PUT", f"/files/{path}", said))
            interim = connection.answer()
            assert interim.status == 104
            self.interim = interim.headers
            self.url = self.base + interim.headers["location"]
            connection.send(self.content[:size])
            part = root / ".uploads" / f"{self.url.rpartition('/')[2]}.part"
            until(lambda: part.stat().st_size)

    def append_and_hold(self, offset: int, *, size: int) -> socket.socket:
        """Begin to append all that is left, and stop after *size* bytes."""
        host, _, port = self.base.removeprefix("http://").partition(":")
        said = {
            "host": host,
            "content-length": str(len(self.content) - offset),
            "content-type": PARTIAL,
            "upload-complete": "?1",
            "upload-offset": str(offset),
        }
        connection = socket.create_connection((host, int(port)))
        connection.sendall(_head("PATCH", self.url.removeprefix(self.base), said))
        connection.sendall(self.content[offset : offset + size])
        return connection

    def state(self) -> tuple[int, bool]:
        """How many bytes are there, and whether that is all."""
        answer = httpx.head(self.url)
        assert answer.status_code == 204, answer
        complete = answer.headers["upload-complete"] == "?1"
        return int(answer.headers["upload-offset"]), complete

    def append(
        self, offset: int, stop: int | None = None, **headers: str
    ) -> httpx.Response:
        """Send what is between *offset* and *stop*; without *stop* it is the last."""
        said = {
            "content-type": PARTIAL,
            "upload-offset": str(offset),
            "upload-complete": "?1" if stop is None else "?0",
            **_dashed(headers),
        }
        content = self.content[offset:stop]
        return httpx.patch(self.url, content=content, headers=said, timeout=60)

    def resume(self) -> httpx.Response:
        """Ask how far it is, and send the rest."""
        offset, complete = self.state()
        assert not complete
        return self.append(offset)

    def await_offset(self, offset: int) -> None:
        """Wait until so many bytes are there."""

        def there() -> bool:
            with contextlib.suppress(httpx.HTTPError, AssertionError):
                return self.state()[0] == offset
            return False

        until(there)


def _head(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def _dashed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
