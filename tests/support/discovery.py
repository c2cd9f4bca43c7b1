"""Registries and endpoints for tests of discovery."""

from service.discovery.model import Endpoint, UnknownService

__all__ = ["FakeRegistry", "Heard", "endpoints"]


def endpoints(count: int, **fields) -> tuple[Endpoint, ...]:
    """Return endpoints 10.0.0.1:80, 10.0.0.2:80 and so on."""
    return tuple(Endpoint(f"10.0.0.{n + 1}", 80, **fields) for n in range(count))


class FakeRegistry:
    """
    Knows what the test says.

    Attributes:
        services: Endpoints by service.
    """

    name = "fake registry"

    def __init__(self, **services):
        self.services = services
        self.started = 0
        self.stopped = 0

    async def start(self):
        self.started += 1

    async def stop(self):
        self.stopped += 1

    async def check(self):
        pass

    def endpoints(self, service):
        try:
            return self.services[service]
        except KeyError:
            raise UnknownService(service) from None


class Heard:
    """An observer that remembers what it was told."""

    def __init__(self):
        self.told = []

    def changed(self, service, before, after):
        self.told.append(("changed", service, len(before), len(after)))

    def heard(self, service):
        pass

    def failed(self, service, reason, *, first):
        self.told.append(("failed", service, reason, first))

    def returned(self, service):
        self.told.append(("returned", service))
