"""Settings of the features."""

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from service.settings.fields import HttpUrl, PhoneNumber, Seconds, Section, live

__all__ = [
    "DemoSettings",
    "LoginSettings",
    "SmsSettings",
]


class DemoSettings(Section):
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


class LoginSettings(Section):
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


class SmsSettings(Section):
    """Gateway from Alertmanager's webhook to a provider of text messages."""

    enabled: bool = Field(
        False, description="Serve `POST /alerts/sms` on the admin port."
    )
    provider: Literal["twilio", "json"] = Field(
        "twilio",
        description="Form of the provider's API: Twilio's, or a POST of `from`, `to` "
        "and `text` as JSON with a bearer token.",
    )
    url: HttpUrl = Field(
        "https://api.twilio.com",
        description="Provider's API, without credentials; Twilio's without a path.",
    )
    account: str = live("", "Account at the provider; Twilio's account SID.")
    token: SecretStr | None = live(None, "Secret of the account.")
    webhook_token: SecretStr | None = live(
        None,
        "Bearer token that Alertmanager shows, 16 characters at least.",
        min_length=16,
    )
    sender: str = live("", "Number or name that messages come from.")
    recipients: list[PhoneNumber] = live(
        [],
        "Numbers that messages go to, E.164 such as `+15550100`. An alert can't name "
        "others: whoever writes a rule would choose what is paid for.",
        max_length=50,
    )
    max_characters: int = live(
        306,
        "Longest message, as characters of the GSM alphabet: 160 are one text message, "
        "306 two, 459 three. Of other alphabets fewer than half as many fit.",
        ge=40,
        le=1530,
    )
    max_per_hour: int = live(
        60,
        "Most messages in an hour; what is more is refused with 429, and Alertmanager "
        "tries it again.",
        ge=1,
        le=10_000,
    )
    timeout: Seconds = live(
        5.0,
        "Seconds the provider may take to connect, and to answer; there are two "
        "attempts, and both must fit into Alertmanager's `group_interval`.",
        gt=0,
    )

    @model_validator(mode="after")
    def _enabled_has_what_it_needs(self) -> Self:
        needed = ["token", "webhook_token", "sender", "recipients"]
        if self.provider == "twilio":
            needed.append("account")
        missing = [f"sms.{name}" for name in needed if not getattr(self, name)]
        if self.enabled and missing:
            msg = f"sms.enabled needs {', '.join(missing)}"
            raise ValueError(msg)
        return self
