"""Settings of the log by HTTP, on the public port."""

from pydantic import Field

from service.settings.fields import Seconds, Section, live

__all__ = ["LogHttpSettings"]


class LogHttpSettings(Section):
    """The commit log by HTTP too: an API and a page below `/log`."""

    enabled: bool = Field(
        False,
        description="With `log_service.enabled`: serve the log on the public port too, "
        "below `/log`. Certificates of clients are asked for on the gRPC port alone: "
        "callers here show tokens, or with `access: open` nothing.",
    )
    max_followers: int = live(
        200,
        "Streams of Server-Sent Events at a time; 503 above it.",
        ge=0,
        le=100_000,
    )
    heartbeat: Seconds = live(
        15.0,
        "Seconds without a record until a follower is sent a comment, so that proxies "
        "keep its connection.",
        gt=0,
    )
    idempotency_seconds: Seconds = live(
        3_600.0,
        "Seconds that the offset of an `Idempotency-Key` is kept, in this process.",
        gt=0,
    )
    idempotency_keys: int = live(
        10_000, "Most such keys that are kept; 429 for one more.", ge=1, le=1_000_000
    )
