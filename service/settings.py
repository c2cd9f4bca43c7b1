"""
Every setting of the service, typed, as one tree; the field order is that of `config:`
in `helm/httpserver/values.yaml`.

Durations are seconds, sizes bytes. A field marked `live` takes effect on reload; every
other one needs a restart (the log says so). Where values come from is the business of
`service.config`: this module only says what they are.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic.config import JsonDict

__all__ = [
    "AdminSettings",
    "ControlSettings",
    "CorsSettings",
    "DemoSettings",
    "FlagSettings",
    "LogLevel",
    "LogSettings",
    "LoginSettings",
    "MetricsSettings",
    "OverloadSettings",
    "ProbeSettings",
    "ServerSettings",
    "Settings",
    "ThrottleSettings",
    "TlsSettings",
    "is_live",
]

LogLevel = Literal["debug", "info", "warning", "error", "critical"]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
Bytes = Annotated[int, Field(ge=0)]
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
Origin = Annotated[str, Field(pattern=r"^(\*|[a-z][a-z0-9+.-]*://[a-z0-9._\[\]:-]+)$")]

_LIVE: JsonDict = {"live": True}
"""JSON-schema mark of a field that takes effect without a restart."""


def live(default: Any, description: str, **bounds: Any) -> Any:
    """Return a field that takes effect on reload."""
    return Field(default, description=description, json_schema_extra=_LIVE, **bounds)


def is_live(model: type[BaseModel], field: str) -> bool:
    """Whether *field* of *model* takes effect on reload."""
    return model.model_fields[field].json_schema_extra == _LIVE


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ControlSettings(_Section):
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


class AdminSettings(_Section):
    """The admin listener: metrics and probes, on an event loop of its own."""

    enabled: bool = Field(True, description="Open the admin listener.")
    host: str = Field("0.0.0.0", description="Address to listen on.")  # noqa: S104 - a container serves every interface of its own network namespace
    port: Port = Field(9090, description="Port of the admin listener.")
    control: ControlSettings = ControlSettings()


class TlsSettings(_Section):
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


class CorsSettings(_Section):
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


class ServerSettings(_Section):
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


class ProbeSettings(_Section):
    """Liveness, readiness and startup probes."""

    cache_ttl: Seconds = live(1.0, "Seconds a readiness result is used again.")
    check_timeout: Seconds = live(
        2.0, "Seconds a part's readiness check may take.", gt=0
    )
    stall_limit: Seconds = live(
        60.0,
        "Seconds the main event loop may hang until liveness fails; 0 is never.",
    )


class LogSettings(_Section):
    """What is logged, and how."""

    level: LogLevel = live("info", "Lowest level that is logged.")
    loggers: dict[str, LogLevel] = live(
        {}, "Level of single loggers, by name, such as `uvicorn.error: debug`."
    )
    format: Literal["auto", "json", "console"] = Field(
        "auto",
        description="JSON lines, key=value for people, or console on a terminal only.",
    )
    access: bool = live(True, "One line per request.")
    probes: bool = live(False, "Access lines for probes and scrapes too.")


class MetricsSettings(_Section):
    """What is measured."""

    buckets: list[float] = Field(
        [
            0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9,
            1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.5, 5.0, 10.0,
        ],
        description="Upper bounds in seconds of the latency histograms; tenths "
        "between 0 and 2 s resolve the random delay.",
    )  # fmt: skip
    sample: bool = Field(
        True,
        description="Export the sample application: a counter, a gauge, a histogram "
        "and a summary of made-up work.",
    )

    @model_validator(mode="after")
    def _buckets_rise(self) -> Self:
        if not self.buckets or sorted(set(self.buckets)) != self.buckets:
            msg = "metrics.buckets must rise and hold at least one bound"
            raise ValueError(msg)
        return self


class OverloadSettings(_Section):
    """Load shedding: what is more than the service can do gets 503 at once."""

    max_in_flight: int = live(
        10_000, "Most requests in flight; 503 above it. 0 is no limit.", ge=0
    )
    adaptive: bool = live(
        True, "Lower the limit while requests wait for the event loop, raise it after."
    )
    target_delay: Seconds = live(
        0.1,
        "Seconds a request may wait for the event loop before the adaptive limit "
        "comes down.",
        gt=0,
    )
    min_in_flight: int = live(
        8, "Requests in flight that the adaptive limit always leaves.", ge=1
    )
    retry_after: Seconds = live(1.0, "Seconds that a shed client is asked to wait.")
    bulkheads: dict[str, Annotated[int, Field(ge=1)]] = live(
        {},
        "Most requests in flight of one part, by its name, such as `demo: 500`, so "
        "that it can't take the others' share; 503 above it.",
    )


class ThrottleSettings(_Section):
    """Requests per second of one client; 429 above it."""

    enabled: bool = live(False, "Count requests per client.")
    rate: float = live(50.0, "Requests a second in the long run.", gt=0, le=1e6)
    burst: int = live(100, "Requests that may come at once.", ge=1, le=1_000_000)
    key: Literal["address", "user"] = live(
        "address",
        "What a client is: its address (a /64 network for IPv6), or the user of its "
        "valid bearer token, and the address without one.",
    )
    max_clients: int = Field(
        1_000_000, description="Clients that are remembered at once.", ge=1
    )
    store: SecretStr | None = live(
        None,
        "URL of a server that speaks the Redis protocol, such as "
        "`redis://cache:6379/0`, where all replicas count together. Without: each "
        "process counts for itself.",
    )
    store_timeout: float = live(
        0.05,
        "Seconds the store may take; after it the process counts for itself.",
        gt=0,
        le=10,
    )

    @model_validator(mode="after")
    def _store_is_known(self) -> Self:
        url = "redis://" if self.store is None else self.store.get_secret_value()
        if not url.startswith(("redis://", "rediss://", "unix://")):
            msg = "throttle.store must begin with redis://, rediss:// or unix://"
            raise ValueError(msg)
        return self


class DemoSettings(_Section):
    """The sample routes."""

    enabled: bool = Field(True, description="Serve the demo routes.")
    delay_min: Seconds = live(0.0, "Shortest random delay of `/`, in seconds.")
    delay_max: Seconds = live(2.0, "Longest random delay of `/`, in seconds.")
    delay_limit: Seconds = live(
        10.0, "Longest delay that `/delay/{seconds}` grants, in seconds."
    )

    @model_validator(mode="after")
    def _delays_fit(self) -> Self:
        if self.delay_min > self.delay_max:
            msg = "demo.delay_min must not be above demo.delay_max"
            raise ValueError(msg)
        return self


class LoginSettings(_Section):
    """`/user/login`: who may log in, and the token they get."""

    enabled: bool = Field(True, description="Serve `/user/login`.")
    users: dict[str, SecretStr] = live(
        {}, "Argon2 hash by user name; `httpserver hash-password` makes one."
    )
    token_key: SecretStr | None = live(
        None,
        "Key that signs tokens, 32 characters at least, the same for all replicas; "
        "without it each process makes its own.",
        min_length=32,
    )
    token_ttl: Seconds = live(900.0, "Seconds a token is good for.", gt=0)
    attempts_per_minute: float = live(
        10.0, "Attempts a minute for one client and user; 429 above it.", gt=0, le=6000
    )


class FlagSettings(_Section):
    """Feature flags: each takes effect on reload."""

    random_delay: bool = live(True, "`/` waits its random delay.")
    page: bool = live(True, "`/` answers a browser with the page.")


class Settings(_Section):
    """The whole tree."""

    server: ServerSettings = ServerSettings()
    probes: ProbeSettings = ProbeSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    overload: OverloadSettings = OverloadSettings()
    throttle: ThrottleSettings = ThrottleSettings()
    demo: DemoSettings = DemoSettings()
    login: LoginSettings = LoginSettings()
    flags: FlagSettings = FlagSettings()
