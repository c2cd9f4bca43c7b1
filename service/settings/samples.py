"""Settings of the samples: the catalogue and the fan-out, and the feature flags."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from service.settings.fields import Seconds, Section, live

__all__ = ["CatalogueSettings", "FanOutSettings", "FlagRule", "FlagSettings"]

_BACKEND = (
    r"^(https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?|"
    r"service://[A-Za-z0-9._-]+)(/[A-Za-z0-9._~/-]*)?$"
)

Backend = Annotated[str, Field(pattern=_BACKEND)]
Percentage = Annotated[float, Field(ge=0, le=100)]


class CatalogueSettings(Section):
    """`/products` and `/articles`: a sample of a typed REST API, in memory."""

    enabled: bool = Field(
        True,
        description="Serve `/products` and `/articles`: a sample, in the memory of "
        "each process.",
    )
    max_entries: int = live(
        1000,
        "Most products, and most articles, that are kept; 409 above them.",
        ge=1,
        le=1_000_000,
    )
    idempotency_ttl: Seconds = live(
        3600.0, "Seconds that the answer to an `Idempotency-Key` is kept.", gt=0
    )
    idempotency_keys: int = live(
        1000, "Most keys that are kept; 429 above them.", ge=1, le=1_000_000
    )


class FanOutSettings(Section):
    """`/fan-out`: calls other services at once and tells the tree of calls."""

    enabled: bool = Field(False, description="Serve `/fan-out`.")
    backends: list[Backend] = live(
        [],
        "What it calls: `http://host:port/fan-out`, or `service://name/fan-out` for "
        "one that is discovered; whatever answers JSON or text will do.",
        max_length=50,
    )
    timeout: Seconds = live(
        2.0, "Seconds for the whole tree; each level below has less.", gt=0, le=60
    )
    max_hops: int = live(
        3, "Levels below the first one, which ends loops; 508 beyond them.", ge=0, le=10
    )
    concurrency: int = live(8, "Most backends called at once, by one request.", ge=1)
    max_in_flight: int = live(
        64, "Most calls under way, of all requests; those above them fail.", ge=1
    )


class FlagRule(Section):
    """Who gets a flag that is on."""

    percentage: Percentage = Field(
        100.0, description="Share of users, or of requests that name none."
    )
    users: list[str] = Field([], description="Users who get it in any case.")
    routes: list[str] = Field(
        [], description="Templates of the routes that it is for; empty: all."
    )


class FlagSettings(Section):
    """Feature flags: each takes effect on reload."""

    provider: Literal["settings", "flagd"] = Field(
        "settings", description="Who says what is on: these settings, or a flagd."
    )
    flagd: str = Field(
        "localhost:8015",
        description="`host:port` at which flagd streams its flags (`sync`), or "
        "`file:/path` of a file in flagd's format, read again every 5 seconds.",
        pattern=r"^([A-Za-z0-9._-]+:[0-9]{1,5}|file:/.+)$",
    )
    flagd_tls: bool = Field(False, description="Speak TLS with flagd.")
    random_delay: bool = live(True, "`/` waits its random delay.")
    page: bool = live(True, "`/` answers a browser with the page.")
    latency: bool = live(
        True, "`/latency` tells everybody how long `/` takes, which the page draws."
    )
    price_text: bool = live(False, "Products tell their price as text too.")
    rules: dict[str, FlagRule] = live(
        {}, "Who gets a flag that is on, by the flag's name; everybody without a rule."
    )

    @classmethod
    def defaults(cls) -> dict[str, bool]:
        """Return the flags there are, by name, each with what holds without a word."""
        return {
            name: field.default
            for name, field in cls.model_fields.items()
            if field.annotation is bool and name != "flagd_tls"
        }

    @model_validator(mode="after")
    def _rules_are_for_flags(self) -> Self:
        unknown = sorted(self.rules.keys() - self.defaults())
        if unknown:
            msg = f"flags.rules names no flag: {', '.join(unknown)}"
            raise ValueError(msg)
        return self
