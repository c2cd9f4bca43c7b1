"""Settings of the log service: the commit log, and the gRPC listener that serves it."""

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from service.settings.fields import Bytes, Port, Seconds, Section, live
from service.settings.log_http import LogHttpSettings
from service.settings.log_jetstream import LogJetStreamSettings

__all__ = [
    "LogAccess",
    "LogLimitSettings",
    "LogPolicySettings",
    "LogServiceSettings",
    "LogTlsSettings",
    "StreamName",
]

StreamName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""Name of a stream: one of a folder, a subject and a label at once."""

_Days = Annotated[float, Field(ge=0, le=3_153_600_000, allow_inf_nan=False)]
"""Seconds that may be many years."""


class LogPolicySettings(Section):
    """How a stream is kept; see `service.commitlog.Policy`."""

    acknowledge: Literal["synced", "written"] = Field(
        "synced",
        description="What an acknowledgement means: the record is on disk (fdatasync "
        "has returned), or the kernel has it, which outlives kill -9 and not a power "
        "cut.",
    )
    sync_interval: Seconds = Field(
        1.0, description="Seconds between two fdatasyncs with `written`.", gt=0
    )
    segment_bytes: int = Field(
        67_108_864, description="Largest file of records, in bytes.", ge=4096
    )
    segment_seconds: _Days = Field(
        604_800.0,
        description="Seconds after its first record that a file is closed.",
        gt=0,
    )
    retention_bytes: Bytes = Field(
        0, description="Bytes of a stream above which its oldest file goes; 0: never."
    )
    retention_seconds: _Days = Field(
        0.0,
        description="Seconds after its last record that a file goes; 0: never.",
    )
    max_record_bytes: int = Field(
        1_048_576, description="Largest record, in bytes.", ge=64, le=33_554_432
    )
    max_batch_bytes: int = Field(
        4_194_304,
        description="Largest sum of records that are appended at once, in bytes.",
        ge=64,
        le=134_217_728,
    )
    max_waiting_bytes: int = Field(
        67_108_864,
        description="Bytes that may wait for the disk; RESOURCE_EXHAUSTED above it.",
        ge=64,
    )
    compression: Literal["none", "zlib"] = Field(
        "none", description="Compression that is tried on each value."
    )

    @model_validator(mode="after")
    def _record_fits(self) -> Self:
        if self.max_record_bytes > self.max_batch_bytes:
            msg = (
                "log_service.policy.max_record_bytes must not be above max_batch_bytes"
            )
            raise ValueError(msg)
        return self


class LogTlsSettings(Section):
    """TLS of the gRPC listener; certificate files are taken in anew on change."""

    enabled: bool = Field(False, description="Speak TLS on the port, and nothing else.")
    cert_file: str = Field(
        "/etc/httpserver/log-tls/tls.crt",
        description="Certificate and its chain, PEM; as a mounted TLS Secret has it.",
    )
    key_file: str = Field(
        "/etc/httpserver/log-tls/tls.key",
        description="Private key, PEM, not encrypted.",
    )
    client_auth: Literal["none", "required"] = Field(
        "none", description="Whether clients show a certificate of their own (mTLS)."
    )
    client_ca_file: str = Field(
        "/etc/httpserver/log-tls/ca.crt",
        description="Authorities whose client certificates are believed, PEM.",
    )


class LogAccess(Section):
    """What one subject may do, by names of streams; `*` is all of them."""

    produce: list[StreamName | Literal["*"]] = Field(
        [], description="Streams that it may append to."
    )
    consume: list[StreamName | Literal["*"]] = Field(
        [], description="Streams that it may read."
    )


class LogLimitSettings(Section):
    """What one client, and all of them, may take of the gRPC listener."""

    max_message_bytes: int = Field(
        4_194_304,
        description="Largest message received, in bytes; RESOURCE_EXHAUSTED above it. "
        "Consumers get no larger ones, unless a single record is.",
        ge=1024,
        le=134_217_728,
    )
    max_connections: int = Field(
        1_000, description="Open connections; one more is closed.", ge=1
    )
    max_calls: int = Field(
        2_000,
        description="Calls at a time, streams included; RESOURCE_EXHAUSTED above it.",
        ge=1,
    )
    max_calls_per_connection: int = Field(
        100, description="Calls at a time on one connection; more wait.", ge=1
    )
    max_calls_per_client: int = live(
        200,
        "Calls that one client, by its certificate or its address, may have under way, "
        "streams and those of the health included; RESOURCE_EXHAUSTED above it.",
        ge=1,
    )
    max_streams: int = live(
        50, "Streams that one client may have open; RESOURCE_EXHAUSTED above it.", ge=1
    )
    rate: float = live(
        0.0,
        "Requests per second of one client, in the long run, each message of a stream "
        "counted; RESOURCE_EXHAUSTED above it, and streams are slowed down. 0 is no "
        "limit.",
        ge=0,
        le=1_000_000,
    )
    burst: int = live(
        100, "Requests that one client may make at once, with `rate`.", ge=1
    )
    handshake_timeout: Seconds = Field(
        5.0, description="Seconds until a connection must have spoken HTTP/2.", gt=0
    )
    idle_timeout: Seconds = Field(
        300.0, description="Seconds without a call until a connection is closed.", gt=0
    )
    keepalive_interval: Seconds = Field(
        30.0,
        description="Seconds without a sign of a client until it is asked for one.",
        ge=1,
    )
    keepalive_timeout: Seconds = Field(
        10.0, description="Seconds it then has, until its connection is closed.", gt=0
    )
    min_ping_interval: Seconds = Field(
        10.0,
        description="Seconds that clients must leave between pings; connections that "
        "ping more often are closed.",
        gt=0,
    )
    timeout: Seconds = live(
        30.0,
        "Seconds a call that is no stream may take until DEADLINE_EXCEEDED; a caller's "
        "own deadline counts when it is earlier.",
        gt=0,
    )
    slow_consumer_timeout: Seconds = live(
        30.0,
        "Seconds a consumer may take for one message until its stream is ended: it "
        "keeps old records from retention.",
        gt=0,
    )


class LogServiceSettings(Section):
    """The commit log as a gRPC service, on a port of its own."""

    enabled: bool = Field(False, description="Serve the log.")
    host: str = Field("0.0.0.0", description="Address to listen on.")  # noqa: S104 - a container serves every interface of its own network namespace
    port: Port = Field(8400, description="Port of the gRPC listener.")
    store: Literal["segments", "memory", "jetstream"] = Field(
        "segments",
        description="Where the records are: files of this pod; its memory, which keeps "
        "nothing over a restart; or NATS JetStream, which all pods share.",
    )
    directory: str = Field(
        "log", description="Folder of the streams, a folder each.", min_length=1
    )
    streams: list[StreamName] = Field(
        ["records"],
        description="Names of the streams; the first is that of calls that name none.",
        min_length=1,
        max_length=64,
    )
    reflection: bool = Field(
        True, description="Tell clients such as grpcurl what the API is."
    )
    access: Literal["open", "listed"] = Field(
        "open",
        description="Who may produce and consume: whoever reaches the port, or the "
        "subjects of `permissions`, which show a certificate or a token.",
    )
    permissions: dict[str, LogAccess] = live(
        {},
        "With `access: listed`: what each subject may do, such as `{billing: {produce: "
        '[records], consume: ["*"]}}`. A subject is a name of the client\'s '
        "certificate, common or alternative, or the name of a token.",
    )
    tokens: dict[str, SecretStr] = live(
        {}, "Bearer tokens by subject, 16 characters at least, for `access: listed`."
    )
    tls: LogTlsSettings = LogTlsSettings()
    policy: LogPolicySettings = LogPolicySettings()
    jetstream: LogJetStreamSettings = LogJetStreamSettings()
    limits: LogLimitSettings = LogLimitSettings()
    http: LogHttpSettings = LogHttpSettings()

    @model_validator(mode="after")
    def _streams_differ(self) -> Self:
        if len(set(self.streams)) < len(self.streams):
            msg = "log_service.streams must not name a stream twice"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _jetstream_is_somewhere(self) -> Self:
        if self.store == "jetstream" and not self.jetstream.servers:
            msg = "log_service.store: jetstream needs log_service.jetstream.servers"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _listed_can_be_known(self) -> Self:
        known = self.tokens or (self.tls.enabled and self.tls.client_auth == "required")
        if self.enabled and self.access == "listed" and not known:
            msg = (
                "log_service.access: listed needs log_service.tokens or "
                "log_service.tls.client_auth: required"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _tokens_are_long(self) -> Self:
        for subject, token in self.tokens.items():
            if len(token.get_secret_value()) < 16:  # noqa: PLR2004 - said in the message
                msg = f"log_service.tokens.{subject} must have 16 characters at least"
                raise ValueError(msg)
        return self
