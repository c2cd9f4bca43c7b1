"""Signed tokens: who logged in, until when (RFC 7519, HS256)."""

import os
import secrets
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.errors import Unauthorized
from service.observability.logging import get_logger
from service.settings import LoginSettings

__all__ = ["Claims", "Tokens"]

_ALGORITHM = "HS256"

_CLAIMS = ["iss", "sub", "iat", "exp", "jti"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """
    What a valid token says.

    Attributes:
        username: Who logged in.
        expires_in: Seconds the token is still good for.
    """

    username: str
    expires_in: int


class Tokens:
    """
    Issues and verifies tokens.

    Args:
        issuer: Name of the service.
        settings: Gives key and lifetime as they are now.
        shared: Directory that the workers of one parent share; None without.
        now: Gives the time in seconds since 1970.
    """

    def __init__(
        self,
        *,
        issuer: str,
        settings: Callable[[], LoginSettings],
        shared: Path | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._issuer = issuer
        self._settings = settings
        self._shared = shared
        self._now = now
        self._own_key: str | None = None
        if settings().users:
            self._key()

    def issue(self, username: str) -> tuple[str, int]:
        """Return a token for *username*, and the seconds it is good for."""
        import jwt  # it brings cryptography along, which no start has to wait for

        lifetime = max(1, int(self._settings().token_ttl))
        issued = int(self._now())
        claims = {
            "iss": self._issuer,
            "sub": username,
            "iat": issued,
            "exp": issued + lifetime,
            "jti": uuid.uuid4().hex,
        }
        return jwt.encode(claims, self._key(), algorithm=_ALGORITHM), lifetime

    def verify(self, token: str) -> Claims:
        """
        Return what *token* says.

        Raises:
            Unauthorized: It is not ours, was changed, or its time is over.
        """
        import jwt

        try:
            claims = self._decode(token)
            username, left = claims["sub"], int(claims["exp"]) - int(self._now())
        except (jwt.PyJWTError, ValueError):
            left = 0
        if left <= 0:
            raise self.refusal("The token is not valid, or its time is over.")
        return Claims(username=username, expires_in=left)

    def refusal(self, detail: str) -> Unauthorized:
        """Return the 401 for a token that was sent (RFC 6750 §3.1)."""
        challenge = f'Bearer realm="{_quotable(self._issuer)}", error="invalid_token"'
        return Unauthorized(detail, headers={"www-authenticate": challenge})

    def demand(self, detail: str) -> Unauthorized:
        """Return the 401 for a request that says nothing valid of who it is."""
        challenge = f'Bearer realm="{_quotable(self._issuer)}"'
        return Unauthorized(detail, headers={"www-authenticate": challenge})

    def _decode(self, token: str) -> dict[str, Any]:
        import jwt

        return jwt.decode(
            token,
            self._key(),
            algorithms=[_ALGORITHM],
            issuer=self._issuer,
            options={"require": _CLAIMS, "verify_exp": False, "verify_iat": False},
        )

    def _key(self) -> str:
        """Return the key of the settings, or one of this process and its workers."""
        configured = self._settings().token_key
        if configured is not None:
            return configured.get_secret_value()
        if self._own_key is None:
            made = secrets.token_hex(32)
            self._own_key = _agreed(self._shared, made) if self._shared else made
            get_logger("httpserver.login").warning(
                "token_key_missing", consequence=_CONSEQUENCE
            )
        return self._own_key


def _agreed(folder: Path, made: str) -> str:
    """
    Return the key that all processes with this folder take: the first one's.

    A worker that is started anew takes it too. Only the user who started them can read
    the folder, which goes with the parent.
    """
    path, fresh = folder / "token-key", folder / f"token-key.{os.getpid()}"
    with open(fresh, "w", opener=_private) as file:
        file.write(made)
    with suppress(FileExistsError):
        os.link(fresh, path)  # whole, or not there
    fresh.unlink()
    return path.read_text()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


_CONSEQUENCE = "tokens end with this process and no other replica takes them"


def _quotable(name: str) -> str:
    """Return *name* as it can stand between quotes in a header."""
    kept = (char for char in name if char.isprintable() and char not in '"\\')
    return "".join(kept).encode("ascii", "replace").decode()
