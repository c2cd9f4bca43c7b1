"""Discovery as operators see it: services, their sources, endpoints and states."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.discovery.balancer import Balancer, EndpointView
from service.discovery.many import ManyRegistries
from service.discovery.model import UnknownService
from service.discovery.telling import state_of

__all__ = ["Discovery", "as_document"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """
    What the service has of discovery.

    Attributes:
        balancer: Picks endpoints.
        registry: Knows services.
        ways: How endpoints are chosen, by service.
        zone: The own one; empty for none.
    """

    balancer: Balancer
    registry: ManyRegistries
    ways: Mapping[str, str]
    zone: str = ""

    def view(self) -> dict[str, Any]:
        """
        Return all that is known, in JSON's types.

        Concurrency:
            Any thread.
        """
        services = {name: self.service(name) for name in self.registry.services}
        return {"zone": self.zone, "services": services}

    def service(self, name: str) -> dict[str, Any]:
        """Return what is known of one service; empty when it has just gone."""
        try:
            source, known = self.registry.source_of(name)
            endpoints = [as_document(each) for each in self.balancer.view(name)]
        except UnknownService:
            return {}
        age = known.age(name)
        return {
            "source": source,
            "way": self.ways.get(name, "least_requests"),
            "heard_seconds_ago": None if age is None else round(age, 3),
            "failing": known.failing(name) or None,
            "endpoints": endpoints,
        }


def as_document(seen: EndpointView) -> dict[str, Any]:
    """Return an endpoint in JSON's types; what is as usual is left out."""
    endpoint = seen.endpoint
    document: dict[str, Any] = {
        "address": str(endpoint),
        "state": "ejected" if seen.out_for else state_of(endpoint),
        "in_flight": seen.in_flight,
        "latency": round(seen.latency, 6),
    }
    usual = {"zone": "", "for_zones": (), "priority": 0, "weight": 1.0, "serving": True}
    for name, value in usual.items():
        if getattr(endpoint, name) != value:
            document[name] = getattr(endpoint, name)
    if seen.out_for:
        document["out_for"] = round(seen.out_for, 3)
    return document
