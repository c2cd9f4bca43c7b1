"""Settings of discovery: where other services are, and how calls are spread."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from service.settings.fields import Port, Seconds, Section, live

__all__ = [
    "AnnounceSettings",
    "DiscoveredService",
    "DiscoverySettings",
    "DnsSettings",
    "HealthCheckSettings",
    "LeaseSettings",
    "OutlierSettings",
]

_ADDRESS = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?):[0-9]{1,5}"


def _port_is_there(address: str) -> str:
    if address and not 0 < int(address.rpartition(":")[2]) < 65_536:  # noqa: PLR2004 - ports
        raise ValueError("a port is 1 to 65535")
    return address


Address = Annotated[str, Field(pattern=f"^{_ADDRESS}$"), AfterValidator(_port_is_there)]
MaybeAddress = Annotated[
    str, Field(pattern=f"^({_ADDRESS})?$"), AfterValidator(_port_is_there)
]
MaybeServiceName = Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9._-]{0,62})?$")]
ZoneName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,63}$")]

_SERVICE_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
_KUBERNETES_NAME = re.compile(r"([a-z0-9][a-z0-9-]*/)?[a-z0-9][a-z0-9-]*")


class OutlierSettings(Section):
    """When an endpoint that keeps failing is left out."""

    failures: int = Field(3, description="Failures in a row; 0: never.", ge=0)
    eject_for: Seconds = Field(
        1.0, description="Seconds at first; each time in a row as long again.", gt=0
    )
    eject_for_most: Seconds = Field(30.0, description="Longest time, seconds.", gt=0)
    share: float = Field(
        0.5, description="Share of the endpoints that may be out at once.", ge=0, le=1
    )


class HealthCheckSettings(Section):
    """How endpoints are asked whether they are well."""

    path: Annotated[str, Field(pattern=r"^(/[!-~]*)?$")] = Field(
        "", description="Path of a GET; empty: only connect."
    )
    interval: Seconds = Field(5.0, description="Seconds between checks.", gt=0)
    timeout: Seconds = Field(1.0, description="Seconds that one may take.", gt=0)
    rise: int = Field(2, description="Checks in a row that make it well.", ge=1)
    fall: int = Field(3, description="Checks in a row that make it ill.", ge=1)


class DiscoveredService(Section):
    """One service, and who knows where it is."""

    source: Literal["static", "dns", "kubernetes", "leases"] = Field(
        description="Who knows its endpoints."
    )
    name: str = Field(
        "",
        description="Its name there; empty: as here. DNS: a domain name. Kubernetes: "
        "`service` or `namespace/service`.",
        max_length=253,
    )
    port: Port | str | None = Field(
        None,
        description="DNS: the port; without one SRV records tell it. Kubernetes: name "
        "or number, where the Service has several.",
    )
    family: Literal["any", "ipv4", "ipv6"] = Field(
        "any", description="Which addresses."
    )
    endpoints: list[Address] = Field(
        [], description="Static: `host:port` of each; none: `discovery.file` has them."
    )
    required: bool = Field(False, description="Not ready until it was heard of once.")
    way: Literal[
        "round_robin", "least_requests", "least_latency", "consistent_hash"
    ] = Field("least_requests", description="How an endpoint is chosen for a call.")
    zone_share: float = Field(
        0.3,
        description="Share of the endpoints that the own zone must have to get all "
        "calls; above 1: zones play no part.",
        ge=0,
        le=2,
    )
    outliers: OutlierSettings = OutlierSettings()
    check: HealthCheckSettings | None = None

    @model_validator(mode="after")
    def _fits_its_source(self) -> Self:
        if self.endpoints and self.source != "static":
            raise ValueError("endpoints are for the source static")
        if self.source == "dns" and isinstance(self.port, str):
            raise ValueError("port of a service by DNS is a number")
        named = self.source == "kubernetes" and self.name
        if named and not _KUBERNETES_NAME.fullmatch(self.name):
            raise ValueError("name must be service or namespace/service")
        return self


class DnsSettings(Section):
    """How the DNS is asked."""

    servers: list[Address] = Field(
        [], description="`address:port` of the servers; none: those of the machine."
    )
    ttl_least: Seconds = Field(
        1.0, description="Shortest time that an answer is good for, seconds.", gt=0
    )
    ttl_most: Seconds = Field(
        60.0, description="Longest time that an answer is good for, seconds.", gt=0
    )
    timeout: Seconds = Field(5.0, description="Seconds that an answer may take.", gt=0)


class LeaseSettings(Section):
    """The store in which instances register themselves."""

    store: SecretStr | None = live(
        None,
        "URL of a server that speaks the Redis protocol, such as "
        "`redis://registry:6379/0`.",
    )
    ttl: Seconds = Field(
        15.0, description="Seconds after which a silent instance is gone.", gt=0
    )
    interval: Seconds = Field(1.0, description="Seconds between looks.", gt=0)

    @model_validator(mode="after")
    def _store_is_known(self) -> Self:
        url = "redis://" if self.store is None else self.store.get_secret_value()
        if not url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("store must begin with redis://, rediss:// or unix://")
        return self


class AnnounceSettings(Section):
    """What this instance registers itself as, while it is ready."""

    service: MaybeServiceName = Field(
        "", description="Service that it is one of; empty: it does not register."
    )
    address: MaybeAddress = Field("", description="`host:port` where others reach it.")


class DiscoverySettings(Section):
    """Where other services are; docs/discovery.md has the fields of a service."""

    services: dict[str, DiscoveredService] = Field(
        {},
        description="Services by the name they are called by, each with its `source`: "
        "`static`, `dns`, `kubernetes` or `leases`.",
    )
    file: str = Field(
        "",
        description="File of services and their endpoints, YAML or JSON, read again "
        "when it changes.",
    )
    zone: ZoneName = Field(
        "", description="Own zone, whose endpoints are preferred; empty: none."
    )
    dns: DnsSettings = DnsSettings()
    leases: LeaseSettings = LeaseSettings()
    announce: AnnounceSettings = AnnounceSettings()

    @property
    def wanted(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.services or self.file or self.announce.service)

    @model_validator(mode="after")
    def _sources_are_there(self) -> Self:
        kinds = {each.source for each in self.services.values()}
        if ("leases" in kinds or self.announce.service) and not self.leases.store:
            raise ValueError("discovery: leases need discovery.leases.store")
        if self.announce.service and not self.announce.address:
            raise ValueError("discovery.announce.service needs its address")
        if self.dns.ttl_least > self.dns.ttl_most:
            raise ValueError("discovery.dns.ttl_least must not be above ttl_most")
        for name, each in self.services.items():
            if not _SERVICE_NAME.fullmatch(name):
                raise ValueError("discovery.services: names are of a-z, 0-9 and ._-")
            unknown = each.source == "static" and not each.endpoints and not self.file
            if unknown:
                raise ValueError(f"discovery.services.{name} needs endpoints or a file")
        return self
