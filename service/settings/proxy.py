"""Settings of the reverse proxy: which requests go on to which upstream, and how."""

import re
from ipaddress import ip_network
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from service.settings.fields import Bytes, Seconds, Section, Token, live

__all__ = ["ProxyBreaker", "ProxyRoute", "ProxySettings", "ProxyTimeouts"]

UPSTREAM = re.compile(
    r"(?P<scheme>https?|service)://"
    r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<base>(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*)/?"
)
"""An upstream's URL: no user, no query, no fragment, nothing encoded."""

_DOTS = re.compile(r"(?:^|/)\.{1,2}(?:/|$)")

FORBIDDEN = (
    "0.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/4",
    "100.100.100.200/32",
    "::/128",
    "fe80::/10",
    "ff00::/8",
    "fd00:ec2::254/128",
)
"""Where no upstream is: this host by its unspecified address, links, the metadata
services of clouds, groups."""

PlainPath = Annotated[str, Field(pattern=r"^/(?:[A-Za-z0-9._~-]+/)*[A-Za-z0-9._~-]*$")]
HostName = Annotated[
    str, Field(pattern=r"^$|^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$|^\[[0-9a-f:.]+\]$")
]
Name = Annotated[str, Field(pattern=r"^[a-z0-9._-]{0,63}$")]


class ProxyTimeouts(Section):
    """How long each phase of a proxied request may take."""

    connect: Seconds = Field(2.0, description="Seconds to connect.", gt=0)
    head: Seconds = Field(
        30.0,
        description="Seconds from the sent request to the head of the answer; 0: none.",
    )
    idle: Seconds = Field(
        60.0, description="Seconds between two pieces of a body; 0: none."
    )
    total: Seconds = Field(
        3600.0, description="Seconds for everything, bodies included; 0: none."
    )


class ProxyRoute(Section):
    """Requests of one path and host, and where they go."""

    path: PlainPath = Field(
        description="Prefix of the path, by whole segments: `/catalogue/` takes "
        "`/catalogue` and all below it."
    )
    host: HostName = Field("", description="Host it is for; empty: every host.")
    upstream: str = Field(
        description="`http://host:port/base`, `https://…`, or `service://name/base` "
        "for one that is discovered."
    )
    name: Name = Field(
        "",
        description="What metrics, logs and errors call the upstream; empty: the "
        "service's name, or the path.",
    )
    ca_file: str = Field(
        "",
        description="Authorities that vouch for an https upstream, PEM, read again "
        "when they change; empty: those of the system.",
    )
    tls_name: HostName = Field(
        "",
        description="Name that an https upstream is asked for, and that its "
        "certificate must have; empty: its host.",
    )
    strip_prefix: bool = Field(False, description="Leave the path's prefix out.")
    preserve_host: bool = Field(
        False, description="Send the client's `Host`, not the upstream's."
    )
    methods: list[Token] = Field(
        [], description="Methods that are let through; empty: all but CONNECT, TRACE."
    )
    max_body_bytes: Bytes | None = Field(
        None, description="Largest request body; null: `server.max_body_bytes`."
    )
    retries: int = Field(
        1, description="Further attempts of what may be sent twice.", ge=0, le=5
    )
    websocket: bool = Field(False, description="Let connections be upgraded.")
    security_headers: bool = Field(
        False, description="Add the service's security headers where there are none."
    )
    timeouts: ProxyTimeouts = ProxyTimeouts()

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        match = UPSTREAM.fullmatch(self.upstream)
        if match is None or _DOTS.search(match["base"]):
            msg = "upstream must be http://host:port/base or service://name/base"
            raise ValueError(msg)
        if match["port"] and not 0 < int(match["port"]) < 65536:  # noqa: PLR2004 - ports
            raise ValueError("upstream has no such port")
        if match["scheme"] == "service" and match["port"]:
            raise ValueError("upstream: a service's ports are discovered")
        if match["scheme"] != "https" and (self.ca_file or self.tls_name):
            raise ValueError("ca_file and tls_name are for https upstreams")
        if _DOTS.search(self.path):
            raise ValueError("path must have no dot segments")
        if not {"CONNECT", "TRACE"}.isdisjoint(self.methods):
            raise ValueError("methods must be without CONNECT and TRACE")
        return self


class ProxyBreaker(Section):
    """When an upstream that keeps failing is left alone."""

    failure_rate: float = live(
        0.5, "Share of failures that stops requests to an upstream.", gt=0, le=1
    )
    minimum_calls: int = live(20, "Requests in the window that it takes.", ge=1)
    window: Seconds = live(10.0, "Seconds over which they are counted.", gt=0)
    open_for: Seconds = live(5.0, "Seconds until it is tried again.", gt=0)


class ProxySettings(Section):
    """Reverse proxy: routes to other services."""

    enabled: bool = Field(False, description="Let requests through to `proxy.routes`.")
    routes: list[ProxyRoute] = live(
        [],
        "What goes where; the longest path wins, and of those one with a host. The "
        "service's own routes come first. docs/proxy.md has the fields.",
        max_length=1000,
    )
    max_connections: int = live(
        512, "Most connections to one endpoint; 503 above them.", ge=1, le=65_536
    )
    keep_alive: Seconds = live(
        4.0,
        "Seconds that a connection to an upstream is kept for the next request: fewer "
        "than the upstream keeps it, or requests meet one that is just being closed.",
    )
    max_head_bytes: int = live(
        65_536, "Largest head of an upstream's answer; 502 above it.", ge=1024
    )
    forbidden_networks: list[str] = live(
        list(FORBIDDEN),
        "Networks to which nothing is sent, wherever the DNS or discovery lead: 403. "
        "An address that stands in a route's `upstream` is not looked at.",
    )
    retry_ratio: float = live(
        0.1, "Retries for each request to an upstream, on average.", ge=0, le=1
    )
    tunnel_grace: Seconds = live(
        10.0, "Seconds that WebSockets may stay when the service is about to stop."
    )
    breaker: ProxyBreaker = ProxyBreaker()

    @field_validator("forbidden_networks")
    @classmethod
    def _are_networks(cls, value: list[str]) -> list[str]:
        for each in value:
            ip_network(each)
        return value

    @model_validator(mode="after")
    def _routes_differ(self) -> Self:
        seen: set[tuple[str, str]] = set()
        for number, route in enumerate(self.routes):
            key = (route.path.rstrip("/"), route.host)
            if key in seen:
                msg = f"proxy.routes[{number}] has the path and host of another"
                raise ValueError(msg)
            seen.add(key)
        return self
