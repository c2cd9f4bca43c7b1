"""Settings of the calls that the service makes to others."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from service.settings.fields import Bytes, Seconds, Section, live

__all__ = ["ClientSettings"]


class ClientSettings(Section):
    """Calls of other services; limits hold for each of them apart."""

    timeout: Seconds = live(
        15.0, "Seconds for a whole call, attempts and waits included.", gt=0
    )
    attempt_timeout: Seconds = live(
        5.0, "Seconds for one attempt, so that a second one has time left.", gt=0
    )
    connect_timeout: Seconds = live(
        2.0, "Seconds to connect, and the same again for TLS.", gt=0
    )
    read_timeout: Seconds = live(
        5.0, "Seconds of silence while an answer is awaited or read.", gt=0
    )
    write_timeout: Seconds = live(
        5.0, "Seconds in which a piece of the request must be taken.", gt=0
    )
    pool_timeout: Seconds = live(
        1.0, "Seconds to wait for a connection while all are in use.", gt=0
    )
    attempts: int = live(3, "Most attempts of a call that may be repeated.", ge=1)
    backoff: Seconds = live(
        0.1, "Longest wait before the second attempt; it doubles each time.", gt=0
    )
    retry_after_most: Seconds = live(
        5.0, "Longest `Retry-After` that is waited for; above it the answer stands."
    )
    retry_ratio: float = live(
        0.1, "Retries for each call: 0.1 lets an upstream that is down get 1.1 times "
        "its usual load.", ge=0, le=100
    )  # fmt: skip
    retry_burst: float = live(10.0, "Retries that may come at once.", ge=0, le=1e6)
    hedge_after: Seconds = live(
        0.0, "Seconds after which a GET without an answer is sent again; 0 is never."
    )
    breaker: bool = live(True, "Refuse calls at once while an upstream keeps failing.")
    breaker_failure_rate: float = live(
        0.5, "Share of failed calls that opens the breaker.", gt=0, le=1
    )
    breaker_minimum_calls: int = live(
        10, "Calls in the window below which it stays closed.", ge=1
    )
    breaker_window: Seconds = live(10.0, "Seconds over which calls are counted.", gt=0)
    breaker_open_for: Seconds = live(
        5.0, "Seconds that it refuses at first; longer each time, at most 12 times.",
        gt=0,
    )  # fmt: skip
    breaker_probes: int = live(3, "Calls that must succeed to close it again.", ge=1)
    max_in_flight: int = live(
        1000, "Most calls under way; more fail at once. 0 is no limit.", ge=0
    )
    max_body_bytes: Bytes = live(
        16_777_216, "Largest answer that is read into memory; streams have no limit."
    )
    max_connections: int = Field(100, description="Most connections.", ge=1)
    max_idle_connections: int = Field(
        20, description="Most connections that are kept for later calls.", ge=0
    )
    idle_timeout: Seconds = Field(
        15.0,
        description="Seconds that a connection is kept for later calls; less than "
        "the other side keeps it, or a call may meet one that is being closed.",
    )
    ca_file: Path | None = Field(
        None,
        description="Authorities that vouch for https upstreams, PEM. Without: the "
        "system's.",
    )

    @model_validator(mode="after")
    def _attempt_fits(self) -> Self:
        if self.attempt_timeout > self.timeout:
            msg = "client.attempt_timeout must not be above client.timeout"
            raise ValueError(msg)
        return self
