"""Settings of logs, metrics and traces."""

from typing import Literal, Self

from pydantic import Field, model_validator

from service.settings.fields import (
    HttpUrl,
    LogLevel,
    SecretHeaders,
    Section,
    live,
)

__all__ = [
    "LogSettings",
    "MetricsSettings",
    "OtlpSettings",
    "PushSettings",
    "SamplingSettings",
    "TracingSettings",
]


class SamplingSettings(Section):
    """Which lines of a flood are written; what is left out is counted."""

    first: int = live(
        0,
        "Lines of one level, logger and event that are written in each second; 0 "
        "writes all.",
        ge=0,
    )
    then_every: int = live(
        100, "Of more, one in so many is written; 0 writes none.", ge=0
    )
    levels: list[LogLevel] = live(
        ["debug", "info"], "Levels that are sampled; the others are always written."
    )


class LogSettings(Section):
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
    redact: list[str] = live(
        ["authorization", "cookie", "password", "secret", "token", "api_key"],
        "Fields whose values are masked, at any depth: names that hold one of these.",
    )
    sampling: SamplingSettings = SamplingSettings()


class OtlpSettings(Section):
    """Where OpenTelemetry data goes, and how."""

    endpoint: HttpUrl = Field(
        "http://127.0.0.1:4317",
        description="URL of the collector, without credentials, which `headers` are "
        "for; its port is 4317 for gRPC, 4318 for HTTP, as a rule. With HTTP the "
        "signal's path (`/v1/traces`) is added.",
    )
    protocol: Literal["grpc", "http"] = Field("grpc", description="gRPC or HTTP.")
    headers: SecretHeaders = live(
        {}, "Headers that go along, such as a token; names in lower case."
    )
    ca_file: str = Field(
        "",
        description="Authorities that the collector is believed by, PEM; empty: "
        "the system's.",
    )
    timeout: float = Field(
        10.0, description="Seconds one export may take.", gt=0, le=600
    )


class TracingSettings(Section):
    """Spans of requests, by OpenTelemetry."""

    exporter: Literal["none", "console", "otlp"] = Field(
        "none", description="Where spans go; `none` costs nothing."
    )
    sample_ratio: float = live(
        1.0,
        "Share of the requests that are traced where the caller has not decided.",
        ge=0,
        le=1,
    )
    trust_callers: bool = live(
        True,
        "Go on with the trace, the decision and the baggage that a caller sends; off, "
        "each request begins a trace of its own, and no client can have all traced.",
    )
    probes: bool = Field(False, description="Trace probes and scrapes too.")
    queue_size: int = Field(
        2048, description="Spans that wait for export; more are dropped.", ge=1
    )
    interval: float = Field(
        5.0, description="Seconds until what waits is exported.", gt=0, le=600
    )
    otlp: OtlpSettings = OtlpSettings()


class PushSettings(Section):
    """Metrics for those who can't scrape."""

    exporter: Literal["none", "otlp"] = Field(
        "none", description="Push the metrics to a collector, besides `/metrics`."
    )
    interval: float = Field(
        15.0, description="Seconds between two exports.", gt=0, le=3600
    )
    otlp: OtlpSettings = OtlpSettings()


class MetricsSettings(Section):
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
    push: PushSettings = PushSettings()

    @model_validator(mode="after")
    def _buckets_rise(self) -> Self:
        if not self.buckets or sorted(set(self.buckets)) != self.buckets:
            msg = "metrics.buckets must rise and hold at least one bound"
            raise ValueError(msg)
        return self
