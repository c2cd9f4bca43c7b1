"""
Every setting of the service, typed, as one tree; the field order is that of `config:`
in `helm/httpserver/values.yaml`.

Durations are seconds, sizes bytes. A field marked `live` takes effect on reload; every
other one needs a restart (the log says so). Where values come from is the business of
`service.config`: this module only says what they are.
"""

from typing import Self

from pydantic import model_validator

from service.settings.client import ClientSettings
from service.settings.discovery import DiscoverySettings
from service.settings.features import (
    DemoSettings,
    LoginSettings,
    SmsSettings,
)
from service.settings.fields import LogLevel, Section, is_live
from service.settings.files import FileSettings, S3Settings
from service.settings.log_service import LogServiceSettings
from service.settings.observability import (
    LogSettings,
    MetricsSettings,
    OtlpSettings,
    PushSettings,
    SamplingSettings,
    TracingSettings,
)
from service.settings.phonebook import PhonebookSettings, PostgresqlSettings
from service.settings.protection import OverloadSettings, ThrottleSettings
from service.settings.proxy import ProxySettings
from service.settings.samples import (
    CatalogueSettings,
    FanOutSettings,
    FlagRule,
    FlagSettings,
)
from service.settings.server import (
    AdminSettings,
    ControlSettings,
    CorsSettings,
    ProbeSettings,
    ServerSettings,
    TlsSettings,
)

__all__ = [
    "AdminSettings",
    "CatalogueSettings",
    "ClientSettings",
    "ControlSettings",
    "CorsSettings",
    "DemoSettings",
    "DiscoverySettings",
    "FanOutSettings",
    "FileSettings",
    "FlagRule",
    "FlagSettings",
    "LogLevel",
    "LogServiceSettings",
    "LogSettings",
    "LoginSettings",
    "MetricsSettings",
    "OtlpSettings",
    "OverloadSettings",
    "PhonebookSettings",
    "PostgresqlSettings",
    "ProbeSettings",
    "ProxySettings",
    "PushSettings",
    "S3Settings",
    "SamplingSettings",
    "ServerSettings",
    "Settings",
    "SmsSettings",
    "ThrottleSettings",
    "TlsSettings",
    "TracingSettings",
    "is_live",
]


class Settings(Section):
    """The whole tree."""

    server: ServerSettings = ServerSettings()
    probes: ProbeSettings = ProbeSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    tracing: TracingSettings = TracingSettings()
    overload: OverloadSettings = OverloadSettings()
    throttle: ThrottleSettings = ThrottleSettings()
    discovery: DiscoverySettings = DiscoverySettings()
    client: ClientSettings = ClientSettings()
    demo: DemoSettings = DemoSettings()
    catalogue: CatalogueSettings = CatalogueSettings()
    fan_out: FanOutSettings = FanOutSettings()
    login: LoginSettings = LoginSettings()
    sms: SmsSettings = SmsSettings()
    proxy: ProxySettings = ProxySettings()
    phonebook: PhonebookSettings = PhonebookSettings()
    files: FileSettings = FileSettings()
    log_service: LogServiceSettings = LogServiceSettings()
    flags: FlagSettings = FlagSettings()

    @model_validator(mode="after")
    def _gateway_has_its_port(self) -> Self:
        if self.sms.enabled and not self.server.admin.enabled:
            msg = "sms.enabled needs server.admin.enabled"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _log_has_one_writer(self) -> Self:
        if self.log_service.enabled and self.server.workers > 1:
            msg = "log_service.enabled needs server.workers: 1"
            raise ValueError(msg)
        return self
