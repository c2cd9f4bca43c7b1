"""Settings of what protects the service from too much work."""

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from service.settings.fields import Seconds, Section, live

__all__ = [
    "OverloadSettings",
    "ThrottleSettings",
]


class OverloadSettings(Section):
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


class ThrottleSettings(Section):
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
