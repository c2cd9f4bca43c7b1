"""What discovery knows: services, their endpoints, and who can tell of them."""

from dataclasses import dataclass, field
from typing import Protocol

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
            left, and it still answers.
    """

    host: str
    port: int
    zone: str = field(default="", compare=False)
    ready: bool = field(default=True, compare=False)
    terminating: bool = field(default=False, compare=False)

    @override
    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Registry(Protocol):
    """Knows the endpoints of services; a part that is started and stopped."""

    name: str

    async def start(self) -> None:
        """Begin to watch."""

    async def stop(self) -> None:
        """End it."""

    def endpoints(self, service: str) -> tuple[Endpoint, ...]:
        """
        Return what is known of *service* now, without waiting for anything.

        Raises:
            UnknownService: Nothing is known of it.
        """
