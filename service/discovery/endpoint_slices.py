"""
EndpointSlices, as the API server sends them, read as endpoints.

A service has several: one for each address family, and more when there are many pods.
They are read as they come, as JSON: what the API does not promise to be there may be
missing.

Source: https://kubernetes.io/docs/reference/kubernetes-api/discovery/endpoint-slice-v1/
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from service.discovery.model import Endpoint

__all__ = ["PortUnclear", "Target", "endpoints_of", "service_of"]

SERVICE_LABEL = "kubernetes.io/service-name"
"""Label that names the Service of a slice."""

_FAMILIES = {"ipv4": ("IPv4",), "ipv6": ("IPv6",), "any": ("IPv4", "IPv6", "FQDN")}
"""Address types by family, the preferred first."""


class PortUnclear(Exception):
    """A service has several ports, or none, and nobody said which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    Which endpoints of a Service are wanted.

    Attributes:
        namespace: Its namespace; empty for the own one.
        service: Its name.
        port: Name of a port, or number of a port of the pods; None when it has one.
        family: Which addresses; `any` is IPv4 where the Service has some, because each
            pod of a Service of both families stands in slices of both.
    """

    namespace: str
    service: str
    port: str | int | None = None
    family: Literal["any", "ipv4", "ipv6"] = "any"


def service_of(piece: Mapping[str, Any]) -> str:
    """Return the name of the Service of a slice; empty when it has none."""
    labels = (piece.get("metadata") or {}).get("labels") or {}
    return str(labels.get(SERVICE_LABEL, ""))


def endpoints_of(
    slices: Iterable[Mapping[str, Any]], target: Target
) -> tuple[Endpoint, ...]:
    """
    Return the endpoints that the slices of one Service tell together.

    An address may stand in two slices while it moves between them: the one that is
    ready is right.

    Raises:
        PortUnclear: The port can't be told.
    """
    pieces = list(slices)
    for kind in _FAMILIES[target.family]:
        found: dict[Endpoint, Endpoint] = {}
        for piece in pieces:
            if piece.get("addressType") == kind:
                for each in _of_slice(piece, target.port):
                    if each not in found or each.ready:
                        found[each] = each
        if found:
            return tuple(found.values())
    return ()


def _of_slice(piece: Mapping[str, Any], wanted: str | int | None) -> Iterator[Endpoint]:
    entries = [each for each in piece.get("endpoints") or () if _has_address(each)]
    if not entries:
        return
    port = _port(piece.get("ports") or [], wanted)
    if port is None:
        return
    for each in entries:
        # consumers take the first address only, says the API
        yield _endpoint(each, port)


def _has_address(entry: Any) -> bool:
    return isinstance(entry, dict) and bool(entry.get("addresses"))


def _endpoint(entry: Mapping[str, Any], port: int) -> Endpoint:
    conditions = entry.get("conditions") or {}
    ready = _condition(conditions, "ready", default=True)
    hints = (entry.get("hints") or {}).get("forZones") or ()
    return Endpoint(
        str(entry["addresses"][0]),
        port,
        zone=str(entry.get("zone") or ""),
        ready=ready,
        serving=_condition(conditions, "serving", default=ready),
        terminating=_condition(conditions, "terminating", default=False),
        for_zones=tuple(str(each.get("name")) for each in hints),
    )


def _condition(conditions: Mapping[str, Any], name: str, *, default: bool) -> bool:
    """Return a condition; the API says what one that is missing means."""
    value = conditions.get(name)
    return default if value is None else bool(value)


def _port(ports: list[Any], wanted: str | int | None) -> int | None:
    """
    Return the number of the port in one slice; None when the slice hasn't got it.

    Raises:
        PortUnclear: It can't be told.
    """
    if isinstance(wanted, int):
        return wanted
    if wanted is None and len(ports) != 1:
        names = ", ".join(str(each.get("name") or each.get("port")) for each in ports)
        raise PortUnclear(f"say which port: {names or 'the Service has none'}")
    for each in ports:
        if wanted is None or each.get("name") == wanted:
            number = each.get("port")
            return int(number) if number else None
    return None
