"""
What a source has told of its services, kept when the source is away.

Every registry holds one: it takes what was heard, from whichever thread hears it, tells
what changed, and gives snapshots. Old news is better than none: a source that fails
changes nothing but the age of what is known.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import astuple
from threading import Lock
from typing import NamedTuple, Protocol

from typing_extensions import override

from service.discovery.model import Endpoint, UnknownService

__all__ = ["Known", "KnownServices", "NotHeard", "SourceObserver", "unobserved"]


class NotHeard(Exception):
    """A service of which its source has told nothing yet."""


class SourceObserver(Protocol):
    """Is told how sources do, on any thread; it must neither block nor raise."""

    def changed(
        self, service: str, before: tuple[Endpoint, ...], after: tuple[Endpoint, ...]
    ) -> None:
        """Note that the endpoints of a service are others, or in another state."""

    def heard(self, service: str) -> None:
        """Note that the source was heard, whatever it told."""

    def failed(self, service: str, reason: str, *, first: bool) -> None:
        """Note that the source could not be heard, the first time or again."""

    def returned(self, service: str) -> None:
        """Note that the source is heard again."""


class _Unobserved(SourceObserver):
    @override
    def changed(
        self, service: str, before: tuple[Endpoint, ...], after: tuple[Endpoint, ...]
    ) -> None:
        pass

    @override
    def heard(self, service: str) -> None:
        pass

    @override
    def failed(self, service: str, reason: str, *, first: bool) -> None:
        pass

    @override
    def returned(self, service: str) -> None:
        pass


unobserved: SourceObserver = _Unobserved()
"""Tells nobody."""


class _Entry(NamedTuple):
    endpoints: tuple[Endpoint, ...] = ()
    heard_at: float | None = None
    failing: str = ""


class Known:
    """
    The services of one source.

    Args:
        services: Those that there are from the start; each has no endpoint until the
            source tells of some.
        observer: Is told what changes.
        clock: Gives the time in seconds; it must not go backwards.

    Concurrency:
        Any thread.
    """

    def __init__(
        self,
        services: Iterable[str] = (),
        *,
        observer: SourceObserver = unobserved,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._entries = dict.fromkeys(services, _Entry())
        self._observer = observer
        self._clock = clock
        self._lock = Lock()

    @property
    def services(self) -> tuple[str, ...]:
        """Names of the services, sorted."""
        return tuple(sorted(self._entries))

    def endpoints(self, service: str) -> tuple[Endpoint, ...]:
        """
        Return what was told last, the same tuple until it changes.

        Raises:
            UnknownService: There is no such service.
        """
        try:
            return self._entries[service].endpoints
        except KeyError:
            raise UnknownService(f"there is no service {service}") from None

    def age(self, service: str) -> float | None:
        """Return the seconds since the source was heard; None when it never was."""
        heard_at = self._entries.get(service, _Entry()).heard_at
        return None if heard_at is None else self._clock() - heard_at

    def failing(self, service: str) -> str:
        """Return why the source can't be heard; empty when it can."""
        return self._entries.get(service, _Entry()).failing

    def check(self) -> None:
        """
        Return when each service was heard of.

        Raises:
            NotHeard: One never was.
        """
        for name, entry in sorted(self._entries.items()):
            if entry.heard_at is None:
                why = f": {entry.failing}" if entry.failing else ""
                raise NotHeard(f"nothing is known of service {name}{why}")

    def tell(self, service: str, endpoints: Iterable[Endpoint]) -> None:
        """Take what the source says; of two endpoints at one place, the first."""
        after = tuple(sorted(dict.fromkeys(endpoints), key=_place))
        with self._lock:
            before = self._entries.get(service, _Entry())
            same = list(map(astuple, before.endpoints)) == list(map(astuple, after))
            kept = before.endpoints if same else after
            self._entries[service] = _Entry(kept, self._clock())
            self._observer.heard(service)
            if before.failing:
                self._observer.returned(service)
            if not same:
                self._observer.changed(service, before.endpoints, after)

    def confirm(self, service: str) -> None:
        """Note that the source was heard, and that nothing changed."""
        self.tell(service, self._entries.get(service, _Entry()).endpoints)

    def fail(self, service: str, reason: str) -> None:
        """Note that the source could not be heard; what is known stays."""
        with self._lock:
            before = self._entries.get(service, _Entry())
            self._entries[service] = before._replace(failing=reason or "it failed")
            self._observer.failed(service, reason, first=not before.failing)

    def forget(self, service: str) -> None:
        """Let go of a service that is no more."""
        with self._lock:
            before = self._entries.pop(service, _Entry())
            if before.endpoints:
                self._observer.changed(service, before.endpoints, ())


class KnownServices:
    """
    A registry by what it knows: the base of those that hear of services themselves.

    Args:
        known: What was heard.

    Attributes:
        known: The same.
    """

    def __init__(self, known: Known) -> None:
        self.known = known

    async def check(self) -> None:
        """
        Return when each service was heard of.

        Raises:
            NotHeard: One never was.
        """
        self.known.check()

    def endpoints(self, service: str) -> tuple[Endpoint, ...]:
        """
        Return the endpoints of *service*.

        Raises:
            UnknownService: It is none of this registry.
        """
        return self.known.endpoints(service)


def _place(endpoint: Endpoint) -> tuple[str, int]:
    return endpoint.host, endpoint.port
