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
    "DemoSettings",
    "FlagSettings",
    "LogLevel",
    "LogSettings",
    "LoginSettings",
    "MetricsSettings",
    "ProbeSettings",
    "ServerSettings",
    "Settings",
    "is_live",
]

LogLevel = Literal["debug", "info", "warning", "error", "critical"]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
Bytes = Annotated[int, Field(ge=0)]

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


class AdminSettings(_Section):
    """The admin listener: metrics and probes, on an event loop of its own."""

    enabled: bool = Field(True, description="Open the admin listener.")
    host: str = Field("0.0.0.0", description="Address to listen on.")  # noqa: S104 - a container serves every interface of its own network namespace
    port: Port = Field(9090, description="Port of the admin listener.")


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
    keep_alive: Seconds = Field(
        75.0,
        description="Idle seconds until a kept-alive connection is closed; above the "
        "60 s that proxies keep theirs, so that the proxy closes first.",
    )
    max_body_bytes: Bytes = live(1_048_576, "Largest request body; 413 above it.")
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
    demo: DemoSettings = DemoSettings()
    login: LoginSettings = LoginSettings()
    flags: FlagSettings = FlagSettings()
