"""Settings of the listeners: ports, limits, time-outs, lifecycle, TLS, probes."""

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from service.settings.fields import (
    Bytes,
    Origin,
    Port,
    Seconds,
    Section,
    Token,
    live,
)

__all__ = [
    "AdminSettings",
    "ControlSettings",
    "CorsSettings",
    "ProbeSettings",
    "ServerSettings",
    "TlsSettings",
]


class ControlSettings(Section):
    """Control endpoints of the admin port, for operators who hold the token."""

    enabled: bool = Field(False, description="Serve `/control/…` on the admin port.")
    token: SecretStr | None = live(
        None, "Bearer token that they ask for, 16 characters at least.", min_length=16
    )

    @model_validator(mode="after")
    def _enabled_has_token(self) -> Self:
        if self.enabled and self.token is None:
            msg = (
                "server.admin.control.enabled needs server.admin.control.token, "
                "16 characters at least"
            )
            raise ValueError(msg)
        return self


class AdminSettings(Section):
    """The admin listener: metrics and probes, on an event loop of its own."""

    enabled: bool = Field(True, description="Open the admin listener.")
    host: str = Field("0.0.0.0", description="Address to listen on.")  # noqa: S104 - a container serves every interface of its own network namespace
    port: Port = Field(9090, description="Port of the admin listener.")
    control: ControlSettings = ControlSettings()


class TlsSettings(Section):
    """HTTPS by the service itself; certificate files are taken in anew on change."""

    enabled: bool = Field(False, description="Open the TLS ports.")
    ports: list[Port] = Field(
        [8443],
        description="Ports that speak TLS, besides `server.ports`.",
        min_length=1,
    )
    cert_file: str = Field(
        "/etc/httpserver/tls/tls.crt",
        description="Certificate and its chain, PEM; as a mounted TLS Secret has it.",
    )
    key_file: str = Field(
        "/etc/httpserver/tls/tls.key", description="Private key, PEM, not encrypted."
    )
    client_auth: Literal["none", "optional", "required"] = Field(
        "none", description="Whether clients show a certificate of their own (mTLS)."
    )
    client_ca_file: str = Field(
        "/etc/httpserver/tls/ca.crt",
        description="Authorities whose client certificates are believed, PEM.",
    )
    min_version: Literal["1.2", "1.3"] = Field(
        "1.2", description="Lowest TLS version that is spoken."
    )
    handshake_timeout: float = Field(
        5.0, description="Seconds a TLS handshake may take.", gt=0, le=600
    )
    shutdown_timeout: float = Field(
        2.0, description="Seconds a client may take to close TLS.", gt=0, le=600
    )


class CorsSettings(Section):
    """Which pages of other origins may call the service from a browser."""

    origins: list[Origin] = Field(
        [],
        description="Origins as browsers send them, such as `https://app.example.com`: "
        "lower case, no path, no default port. `*` is any, without credentials. "
        "Empty: none, and no CORS header is ever sent.",
    )
    methods: list[Token] = Field(
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        description="Methods that they may use.",
    )
    headers: list[Token] = Field(
        ["authorization", "content-type", "x-request-id"],
        description="Request headers that they may send.",
    )
    expose: list[Token] = Field(
        ["retry-after", "x-request-id"],
        description="Answer headers that their scripts may read.",
    )
    credentials: bool = Field(False, description="Whether cookies go along.")
    max_age: Seconds = Field(
        600.0, description="Seconds a browser may remember the answer to a preflight."
    )

    @model_validator(mode="after")
    def _origins_can_match(self) -> Self:
        for scheme, port in (("https://", ":443"), ("http://", ":80")):
            for each in self.origins:
                if each.startswith(scheme) and each.endswith(port):
                    msg = f"server.cors.origins: browsers leave {port} out of {scheme}"
                    raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _no_credentials_for_all(self) -> Self:
        if self.credentials and "*" in self.origins:
            msg = "server.cors.credentials needs origins by name, not `*`"
            raise ValueError(msg)
        return self


class ServerSettings(Section):
    """The main listener, its limits and its lifecycle."""

    name: str = Field("httpserver", description="Name in logs and answers.")
    host: str = Field("0.0.0.0", description="Address to listen on.")  # noqa: S104 - as above
    ports: list[Port] = Field(
        [8080], description="Ports of the main listener.", min_length=1
    )
    workers: int = Field(
        1, description="Processes; one per pod is right on Kubernetes.", ge=1, le=64
    )
    backlog: int = Field(
        2048, description="Connections the kernel may queue.", ge=1, le=65_535
    )
    max_connections: int = live(
        16_000,
        "Open connections; one more is answered 503 and closed. 0 is no limit.",
        ge=0,
    )
    idle_timeout: Seconds = live(
        75.0,
        "Idle seconds until a kept-alive connection is closed; above the 60 s that "
        "proxies keep theirs, so that the proxy closes first. 0 is no limit.",
    )
    header_timeout: Seconds = live(
        10.0,
        "Seconds a client may take for the whole head of a request, from the accept "
        "or its first byte; 408 after it. 0 is no limit.",
    )
    body_timeout: Seconds = live(
        10.0,
        "Seconds of a body's transfer after which `body_min_rate` is asked for; 408 "
        "below it. 0 is no limit.",
    )
    body_min_rate: Bytes = live(
        1_000, "Bytes a second that a request body must come with on average."
    )
    write_timeout: Seconds = live(
        30.0,
        "Seconds without any progress of an answer until the connection is reset. 0 "
        "is no limit.",
    )
    max_target_bytes: int = live(
        8_192, "Longest request target (path and query); 414 above it.", ge=64
    )
    max_headers: int = live(100, "Most header fields of a request; 431 above it.", ge=1)
    max_header_bytes: int = live(
        32_768, "Largest sum of header names and values; 431 above it.", ge=256
    )
    max_body_bytes: Bytes = live(1_048_576, "Largest request body; 413 above it.")
    hosts: list[str] = live(
        [],
        "Hosts that are served, such as `httpserver.example.com` or "
        "`*.example.com`; 421 for any other. Probes are exempt. Empty: all.",
    )
    request_timeout: Seconds = live(
        30.0, "Seconds a handler may take until 504; 0 is no limit."
    )
    trailing_slash: Literal["redirect", "strict"] = Field(
        "redirect",
        description="What a path with one slash too many or too few gets: 308 to the "
        "path that is there, or 404.",
    )
    trusted_proxies: list[str] = Field(
        [],
        description="Addresses or networks whose X-Forwarded-For and -Proto are "
        "believed.",
    )
    drain_delay: Seconds = Field(
        5.0,
        description="Seconds of further accepting after SIGTERM, each answer with "
        "`Connection: close`, until the endpoint has left every load balancer.",
    )
    grace_period: Seconds = Field(
        20.0, description="Seconds that requests in flight may then take to finish."
    )
    hard_limit: Seconds = Field(
        30.0, description="Seconds after SIGTERM at which the process exits whatever."
    )
    tls: TlsSettings = TlsSettings()
    cors: CorsSettings = CorsSettings()
    admin: AdminSettings = AdminSettings()

    @model_validator(mode="after")
    def _stop_fits(self) -> Self:
        if self.hard_limit < self.drain_delay + self.grace_period:
            msg = (
                "server.hard_limit must be at least "
                "server.drain_delay + server.grace_period"
            )
            raise ValueError(msg)
        return self


class ProbeSettings(Section):
    """Liveness, readiness and startup probes."""

    cache_ttl: Seconds = live(1.0, "Seconds a readiness result is used again.")
    check_timeout: Seconds = live(
        2.0, "Seconds a part's readiness check may take.", gt=0
    )
    stall_limit: Seconds = live(
        60.0,
        "Seconds the main event loop may hang until liveness fails; 0 is never.",
    )
