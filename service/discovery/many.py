"""Several registries as one: each service is asked of the one that knows it."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Protocol

from service.discovery.known import Known, NotHeard
from service.discovery.model import Endpoint, Registry, UnknownService

__all__ = ["KnowingRegistry", "ManyRegistries"]


class KnowingRegistry(Registry, Protocol):
    """A registry that tells how its sources do."""

    known: Known


class ManyRegistries:
    """
    Registries as one.

    Args:
        registries: By the name of their source; one may know services that nobody
            configured, as those of a file.
        sources: Name of the source of each service that is configured.
        required: Services without which `check` fails.

    Concurrency:
        `start` and `stop` on one event loop; the rest on any thread.
    """

    name = "discovery"

    def __init__(
        self,
        registries: Mapping[str, KnowingRegistry],
        *,
        sources: Mapping[str, str],
        required: Iterable[str] = (),
    ) -> None:
        self._registries = dict(registries)
        self._sources = dict(sources)
        self._required = tuple(required)

    @property
    def services(self) -> tuple[str, ...]:
        """Names of all services, sorted."""
        names = (each.known.services for each in self._registries.values())
        return tuple(sorted({*self._sources, *(one for each in names for one in each)}))

    async def start(self) -> None:
        """Begin to watch, all at once."""
        await asyncio.gather(*(each.start() for each in self._registries.values()))

    async def stop(self) -> None:
        """End it."""
        await asyncio.gather(*(each.stop() for each in self._registries.values()))

    async def check(self) -> None:
        """
        Return when each service that is required was heard of.

        Raises:
            NotHeard: One never was.
        """
        for service in self._required:
            _, known = self.source_of(service)
            if known.age(service) is None:
                why = known.failing(service)
                raise NotHeard(f"service {service}: {why or 'not heard of yet'}")

    def endpoints(self, service: str) -> tuple[Endpoint, ...]:
        """
        Return the endpoints of *service*.

        Raises:
            UnknownService: No registry knows it.
        """
        return self.source_of(service)[1].endpoints(service)

    def source_of(self, service: str) -> tuple[str, Known]:
        """
        Return the name of a service's source, and what is known there.

        Raises:
            UnknownService: No registry knows it.
        """
        source = self._sources.get(service)
        if source is not None:
            return source, self._registries[source].known
        for source, registry in self._registries.items():
            if service in registry.known.services:
                return source, registry.known
        raise UnknownService(f"there is no service {service}")
