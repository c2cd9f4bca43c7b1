"""What discovery knows: services, their endpoints, and who can tell of them."""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from typing_extensions import override

__all__ = ["Endpoint", "NoEndpoints", "Registry", "UnknownService"]


class UnknownService(Exception):
    """No registry knows a service of this name."""


class NoEndpoints(Exception):
    """The service is known, and nothing of it can be called now."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    One instance of a service; equal to another by where it is.

    Attributes:
        host: Address or name.
        port: Port.
        zone: Where it runs, such as `eu-west-1a`; empty when nobody said.
        ready: Whether it wants new calls.
        terminating: Whether it is about to go: it is called only when nothing else is
            left.
        serving: Whether it still answers, which one that is about to go may.
        for_zones: Zones whose callers it was assigned to; empty when nobody said.
        priority: Endpoints of a higher number are called only when none of a lower one
            can be (RFC 2782).
        weight: Share of the calls, among endpoints of the same priority, > 0.
    """

    host: str
    port: int
    zone: str = field(default="", compare=False)
    ready: bool = field(default=True, compare=False)
    terminating: bool = field(default=False, compare=False)
    serving: bool = field(default=True, compare=False)
    for_zones: tuple[str, ...] = field(default=(), compare=False)
    priority: int = field(default=0, compare=False)
    weight: float = field(default=1.0, compare=False)

    @override
    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@runtime_checkable
class Registry(Protocol):
    """Knows the endpoints of services; a part that is started and stopped."""

    name: str

    async def start(self) -> None:
        """Begin to watch; a source that is away now does not keep it from starting."""

    async def stop(self) -> None:
        """End it."""

    async def check(self) -> None:
        """Return when each service was heard of; raise the reason when not."""

    def endpoints(self, service: str) -> tuple[Endpoint, ...]:
        """
        Return what is known of *service* now, without waiting for anything: the same
        tuple until something changes.

        Raises:
            UnknownService: Nobody ever told that there is such a service.

        Concurrency:
            Any thread.
        """
