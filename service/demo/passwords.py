"""
Checking passwords without letting a client stop the service by asking for it.

A hash of argon2 costs tens of milliseconds and tens of mebibytes, on purpose. So it is
computed in a few threads, and what would have to wait for long is refused at once.
"""

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import (
    InvalidHashError,
    VerificationError,
    VerifyMismatchError,
)
from pydantic import SecretStr

from service.errors import Unavailable, retry_after
from service.observability.logging import get_logger

__all__ = ["Passwords"]

THREADS = 2
"""Hashes at a time; each takes 64 MiB with argon2-cffi's parameters (RFC 9106)."""

QUEUE = 16
"""Checks that may wait for a thread: about half a second of work."""

_NOBODY = SecretStr(
    "$argon2id$v=19$m=65536,t=3,p=4$rGtmH1khGFFZ7cLERRGzBA"
    "$v/WrUhn5Alq42PYICOAqu3xwURND7nc16SOY18qZ7H4"
)
"""Hash of bytes that nobody knows, for a service without users."""


class Passwords:
    """
    Checks passwords in threads.

    Args:
        threads: Checks at a time.
        queue: Checks that may wait.
        hasher: Verifies a password against a hash.

    Concurrency:
        For one event loop. A thread that has begun a check finishes it even when the
        client is gone; it keeps its place until then.
    """

    def __init__(
        self,
        *,
        threads: int = THREADS,
        queue: int = QUEUE,
        hasher: PasswordHasher | None = None,
    ) -> None:
        self._hasher = hasher or PasswordHasher()
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="password")
        self._places = threading.BoundedSemaphore(threads + queue)

    async def check(
        self, users: Mapping[str, SecretStr], username: str, password: str
    ) -> bool:
        """
        Whether *password* is that of *username*.

        A user who is not there costs the same time as one who is: the password is
        checked against somebody's hash all the same.

        Args:
            users: Argon2 hashes by name.
            username: Any text.
            password: Text that UTF-8 can hold.

        Raises:
            Unavailable: Too many checks are waiting.
        """
        known = users.get(username)
        hashed = known or next(iter(users.values()), _NOBODY)
        if not self._places.acquire(blocking=False):
            raise Unavailable("Too many logins at a time.", headers=retry_after(1))
        job = self._executor.submit(
            self._matches, hashed.get_secret_value(), password.encode()
        )
        job.add_done_callback(self._leave)
        matches = await asyncio.wrap_future(job)
        return matches and known is not None

    def _leave(self, _job: Future[bool]) -> None:
        self._places.release()

    def _matches(self, hashed: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except VerifyMismatchError:
            return False
        except (VerificationError, InvalidHashError) as error:
            # the settings' mistake; the text of the hash stays out of the log
            get_logger("httpserver.login").error(
                "password_hash_unusable", error=str(error)
            )
            return False
