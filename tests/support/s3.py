"""A real server that speaks S3 (Versity's gateway), while a test needs it."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from service.files.local_store import Limits
from service.files.s3_client import opened_bucket
from service.files.s3_store import S3Store
from service.settings import S3Settings
from tests.support.chart import need_tool
from tests.support.files import MANY
from tests.support.programs import Killable, free_port

__all__ = ["ACCESS_KEY", "SECRET", "S3Server", "s3_server", "s3_store"]

ACCESS_KEY = "AKIATESTS"
SECRET = "secret-of-the-tests"
LIMIT = 60.0
"""Seconds that it may take to start."""


class S3Server(Killable):
    """
    A server on a free port of 127.0.0.1, with an empty bucket `files`.

    Args:
        folder: Where its files, its log and, with *versions*, old versions go.
        versions: Whether the bucket can keep old versions.
        tls: Files of its certificate and of its key.

    Attributes:
        root: The bucket's directory: each object is a file of it.
        url: Where it answers, the same after each start.
    """

    def __init__(
        self,
        folder: Path,
        *,
        versions: bool = False,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self.root = folder / "s3" / "files"
        self.root.mkdir(parents=True)
        self._log = folder / "s3.log"
        self._old = folder / "old" if versions else None
        if self._old is not None:
            self._old.mkdir()
        self._port = free_port()
        cert, key = map(str, tls or ("", ""))
        self._tls = ["--cert", cert, "--key", key] if tls else []
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        address = f"127.0.0.1:{self._port}"
        old = ["--versioning-dir", str(self._old)] if self._old else []
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [need_tool("versitygw"), "--port", address, "--quiet", "--keep-alive",
                 *self._tls, "posix", *old, str(self.root.parent)],
                env=os.environ
                | {"ROOT_ACCESS_KEY_ID": ACCESS_KEY, "ROOT_SECRET_ACCESS_KEY": SECRET},
                stdout=log, stderr=log, cwd=self.root.parent.parent,
            )  # fmt: skip
        end = time.monotonic() + LIMIT
        while not self._answers():
            assert time.monotonic() < end, self._log.read_text()
            time.sleep(0.05)

    def settings(self, **others: object) -> S3Settings:
        """Return the settings of a client."""
        said = {
            "bucket": "files",
            "endpoint": self.url,
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET,
        }
        return S3Settings.model_validate(said | others)

    def parts_left(self) -> list[str]:
        """What uploads in parts have left and nobody has aborted."""
        waiting = self.root / ".sgwtmp" / "multipart"
        while True:
            with contextlib.suppress(FileNotFoundError):  # one goes amid the look
                return sorted(
                    str(each.relative_to(waiting))
                    for each in waiting.rglob("*")
                    if each.is_file()
                )

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket() as asking:
            asking.settimeout(1)
            asking.connect(("127.0.0.1", self._port))
            return True
        return False


@contextlib.contextmanager
def s3_server(folder: Path, **options: Any) -> Iterator[S3Server]:
    """Run a server until the block ends; skip the test where there is none."""
    need_tool("versitygw")
    server = S3Server(folder, **options)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextlib.asynccontextmanager
async def s3_store(folder: Path, limits: Limits = MANY) -> AsyncIterator[S3Store]:
    """A store on an empty server of its own."""
    with s3_server(folder) as server:
        async with opened_bucket(server.settings) as bucket:
            store = S3Store(bucket, limits=lambda: limits)
            await store.usage.count(bucket)
            yield store
            assert server.parts_left() == []
