"""
What a feature gets from the service and what it gives back.

A feature is a folder with a function `feature(core) -> Feature`, named in
`service.app.FEATURES`. Features know the core and the kits, never each other: delete a
folder and its name in that list, and the rest works on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from service.client.part import ClientPart
from service.config import SettingsStore
from service.flags import Flags
from service.observability.metrics import Metrics
from service.server.application import Filter
from service.server.context import RequestContext
from service.server.parts import Part
from service.server.probes import Health
from service.server.routes import Lookup, Route
from service.server.typed_routes import TypedRouter

if TYPE_CHECKING:
    from service.client.client import Client
    from service.discovery.balancer import Balancer
    from service.discovery.view import Discovery

__all__ = ["Core", "Feature"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """
    What every feature may use.

    Attributes:
        store: The settings, live.
        metrics: What is measured.
        health: What the probes report.
        flags: The feature flags.
        client_part: Makes `client`.
        discovery: Where other services are; None where none are configured.
        balancer: Gives what picks endpoints of discovered services; None without any.
        version: Version of the service.
        multiprocess_dir: Where worker processes share what they know; None without.
        part_names: Names of all features, which are the parts of their routes.
        authenticate: Each returns the name of the user that a request proves to come
            from, or None; a feature that issues proofs adds its own.
    """

    store: SettingsStore
    metrics: Metrics
    health: Health
    flags: Flags
    client_part: ClientPart
    version: str
    discovery: "Discovery | None" = None
    balancer: "Callable[[], Balancer | None]" = lambda: None
    multiprocess_dir: Path | None = None
    part_names: tuple[str, ...] = ()
    authenticate: list[Callable[[RequestContext], str | None]] = field(
        default_factory=list
    )

    @property
    def client(self) -> "Client":
        """Calls other services, on the main event loop; made when first asked for."""
        return self.client_part.get()


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """
    What a feature adds to the service.

    Attributes:
        routes: Added to the main port.
        routers: FastAPI routers, whose typed routes are added to the main port.
        admin_routes: Added to the admin port, which runs on an event loop of its own.
        filters: Run inside the service's own filters, nearest to the handlers.
        parts: Started and stopped with the service; one with `check` is asked by the
            readiness probe.
        lookups: Find routes that come and go, where the main port has no other.
    """

    routes: Sequence[Route] = ()
    routers: Sequence[TypedRouter] = ()
    admin_routes: Sequence[Route] = ()
    filters: Sequence[Filter] = ()
    parts: Sequence[Part] = ()
    lookups: Sequence[Lookup] = ()
