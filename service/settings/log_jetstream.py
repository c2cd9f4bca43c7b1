"""Settings of the log service's streams where NATS JetStream keeps them."""

from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from service.settings.fields import Seconds, Section, live

__all__ = ["LogJetStreamSettings"]

_Server = Annotated[
    str,
    Field(pattern=r"^(nats|tls)://([^\s/?#@:\[\]]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$"),
]
"""A URL without a user and a password in it: it is shown where settings are."""


class LogJetStreamSettings(Section):
    """Where the streams are with `log_service.store: jetstream`, and how."""

    servers: list[_Server] = Field(
        [],
        description="Servers of NATS, such as `nats://httpserver-nats:4222`; the "
        "others of their cluster are learnt from the first that answers.",
        max_length=16,
    )
    prefix: str = Field(
        "log-",
        description="What the name of each stream begins with there.",
        pattern=r"^[A-Za-z0-9_-]{0,64}$",
    )
    replicas: int = Field(
        3,
        description="Servers that keep each record: of 3 one may be lost, of 5 two.",
        ge=1,
        le=5,
    )
    timeout: Seconds = Field(
        20.0,
        description="Seconds within which an append is acknowledged, elections of a "
        "new leader (4 to 9 seconds) included.",
        gt=0,
    )
    duplicate_window: Seconds = Field(
        120.0,
        description="Seconds in which a record with the same `Nats-Msg-Id` is refused "
        "as a duplicate; above `timeout`.",
        gt=0,
    )
    user: str = Field("", description="User of the servers; empty: none, or a token.")
    password: SecretStr | None = live(
        None, "Password of the user; connections made from now on show it."
    )
    token: SecretStr | None = live(
        None, "Token, in place of user and password, for connections made from now on."
    )
    ca_file: str = Field(
        "", description="Authorities of `tls://` servers, PEM; empty: the system's."
    )
    cert_file: str = Field(
        "", description="Client certificate for `tls://`, PEM; empty: none."
    )
    key_file: str = Field("", description="Its private key, PEM, not encrypted.")

    @model_validator(mode="after")
    def _window_covers_the_timeout(self) -> Self:
        if self.duplicate_window <= self.timeout:
            raise ValueError(
                "log_service.jetstream.duplicate_window must be above timeout"
            )
        return self
