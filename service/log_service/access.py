"""
Who calls, and what they may do.

A caller is known by its certificate, whose names the authority vouches for, or by a
bearer token; without either it is an address. What it may do is looked up at each call,
so that a change of the settings, which a ConfigMap brings, holds from the next one on.
The streams that are open are looked at again then (`ending`).
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, TypeAlias
from urllib.parse import unquote

import grpc

from service.bearer import ATTEMPTS, MOST_ADDRESSES, REFILL_RATE
from service.log_api.errors import CallRefused, Reason
from service.resilience.keyed_throttle import KeyedThrottle
from service.settings.log_service import LogServiceSettings

__all__ = [
    "Access",
    "Action",
    "Caller",
    "Context",
    "ListedAccess",
    "OpenAccess",
    "address_of",
    "token_of",
]

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
"""A call, as gRPC has it."""


class Action(StrEnum):
    """What may be done with a stream."""

    PRODUCE = "produce"
    CONSUME = "consume"


class Caller(NamedTuple):
    """
    Who calls.

    Attributes:
        address: Without a port.
        subjects: Names that it has proved; the first is the one it is known by.
        proof: Digest of the token that the first one was proved by, if it was.
    """

    address: str
    subjects: tuple[str, ...] = ()
    proof: bytes = b""

    @property
    def name(self) -> str:
        """Under which its limits are counted."""
        return self.subjects[0] if self.subjects else self.address


class Access(Protocol):
    """Decides who may do what."""

    def identify(self, context: Context) -> Caller:
        """
        Return who calls.

        Raises:
            CallRefused: Nobody knows.
        """

    def known(
        self, address: str, *, token: bytes | None, names: tuple[str, ...] = ()
    ) -> Caller:
        """
        Return who calls, from what was read of the call.

        Args:
            address: Without a port.
            token: The bearer token; empty when it can't be read, None without.
            names: Those of a certificate that is believed.

        Raises:
            CallRefused: Nobody knows.
        """

    def allow(self, caller: Caller, stream: str, *actions: Action) -> None:
        """
        Return when *caller* may do one of *actions* with *stream*, as it is now.

        Raises:
            CallRefused: It may not, or what it proved itself with counts no more.
        """


class OpenAccess:
    """Lets everybody in."""

    def identify(self, context: Context) -> Caller:
        """Return who calls; see `Access`."""
        return Caller(address_of(context), _named(context))

    def known(
        self,
        address: str,
        *,
        token: bytes | None,  # noqa: ARG002 - of the protocol
        names: tuple[str, ...] = (),
    ) -> Caller:
        """Return who calls; see `Access`."""
        return Caller(address, names)

    def allow(self, caller: Caller, stream: str, *actions: Action) -> None:
        """Return."""


class ListedAccess:
    """
    Lets those in whom the settings list.

    Args:
        settings: Gives the settings as they are now.

    Concurrency:
        For one event loop.
    """

    def __init__(self, settings: Callable[[], LogServiceSettings]) -> None:
        self._settings = settings
        self._seen: LogServiceSettings | None = None
        self._digests: list[tuple[bytes, str]] = []
        self._guessers = KeyedThrottle(lambda: _GUESSES, max_keys=MOST_ADDRESSES)

    def identify(self, context: Context) -> Caller:
        """Return who calls; see `Access`."""
        token = _bearer(context.invocation_metadata())
        return self.known(address_of(context), token=token, names=_named(context))

    def known(
        self, address: str, *, token: bytes | None, names: tuple[str, ...] = ()
    ) -> Caller:
        """Return who calls; see `Access`."""
        if token is not None:
            digest, subject = self._proved(token, address)
            return Caller(address, (subject, *names), digest)
        if not names:
            raise CallRefused(Reason.UNAUTHENTICATED)
        return Caller(address, names)

    def allow(self, caller: Caller, stream: str, *actions: Action) -> None:
        """Return when it may, and its token still counts; see `Access`."""
        if caller.proof and (caller.proof, caller.subjects[0]) not in self._known():
            raise CallRefused(Reason.UNAUTHENTICATED)
        if not any(self._may(caller.subjects, stream, each) for each in actions):
            raise CallRefused(Reason.PERMISSION_DENIED)

    def _may(self, subjects: Iterable[str], stream: str, action: Action) -> bool:
        permissions = self._settings().permissions
        listed = (permissions[each] for each in subjects if each in permissions)
        for access in listed:
            allowed = access.produce if action is Action.PRODUCE else access.consume
            if stream in allowed or "*" in allowed:
                return True
        return False

    def _proved(self, token: bytes, address: str) -> tuple[bytes, str]:
        """Return the digest of *token* and whose it is; who guesses must wait."""
        wait = self._guessers.try_acquire(address)
        if wait > 0:
            raise CallRefused(Reason.RATE_LIMITED, retry_after=wait)
        given, found = _digest(token), None
        for digest, subject in self._known():
            # all are compared, so that the time tells nothing
            if hmac.compare_digest(digest, given):
                found = subject
        if found is None:
            raise CallRefused(Reason.UNAUTHENTICATED)
        self._guessers.forget(address)
        return given, found

    def _known(self) -> list[tuple[bytes, str]]:
        settings = self._settings()
        if settings is not self._seen:
            self._seen = settings
            self._digests = [
                (_digest(token.get_secret_value().encode()), subject)
                for subject, token in settings.tokens.items()
            ]
        return self._digests


_GUESSES = (ATTEMPTS, REFILL_RATE)

_NO_NAMES = frozenset({"", "other types of SAN"})
"""What gRPC has in the place of a name that it can't read, the same for all clients."""


def address_of(context: Context) -> str:
    """Return the address of who calls, without a port."""
    kind, _, rest = (context.peer() or "").partition(":")
    if kind not in {"ipv4", "ipv6"}:
        return kind
    return unquote(rest).rpartition(":")[0].strip("[]")


def _named(context: Context) -> tuple[str, ...]:
    """Return the names in the caller's certificate, that of its subject first."""
    proved: Mapping[str, Iterable[bytes]] = context.auth_context()
    found = [
        each.decode("utf-8", "replace")
        for key in ("x509_common_name", "x509_subject_alternative_name")
        for each in proved.get(key, ())
    ]
    return tuple(dict.fromkeys(each for each in found if each not in _NO_NAMES))


def _bearer(metadata: Iterable[tuple[str, str | bytes]] | None) -> bytes | None:
    for name, value in metadata or ():
        if name == "authorization":
            return token_of(value.encode() if isinstance(value, str) else value)
    return None


def token_of(authorization: bytes) -> bytes:
    """Return the bearer token in the header's value; empty when it has none."""
    scheme, _, token = authorization.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()
