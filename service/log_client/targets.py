"""Whom a client calls: addresses, or a service that discovery knows."""

from service.discovery.addresses import split_address
from service.discovery.model import Endpoint

__all__ = ["PORT", "SCHEME", "FixedEndpoints", "endpoints_of"]

PORT = 8400
"""Port of an address that has none."""

SCHEME = "service://"
"""Begin of a target that discovery knows."""


def endpoints_of(target: str) -> tuple[Endpoint, ...]:
    """
    Return the endpoints of `host:port`, or of several with commas in between.

    Raises:
        BadEndpoint: It names none.
    """
    written = [each.strip() for each in target.split(",")]
    return tuple(Endpoint(*split_address(_with_port(each))) for each in written)


def _with_port(address: str) -> str:
    return address if ":" in address.rpartition("]")[2] else f"{address}:{PORT}"


class FixedEndpoints:
    """A registry of one service, whose endpoints never change."""

    name = "fixed endpoints"

    def __init__(self, endpoints: tuple[Endpoint, ...]) -> None:
        self._endpoints = endpoints

    async def start(self) -> None:
        """Begin nothing."""

    async def stop(self) -> None:
        """End nothing."""

    async def check(self) -> None:
        """Return: all is known."""

    def endpoints(self, service: str) -> tuple[Endpoint, ...]:  # noqa: ARG002 - there is one
        """Return them."""
        return self._endpoints
