"""The control endpoints in memory: both ports of one service, and a token."""

from pydantic import SecretStr

from service.app import create_service
from service.config import SettingsStore
from service.settings import (
    AdminSettings,
    ControlSettings,
    DemoSettings,
    ServerSettings,
    Settings,
)
from tests.support.asgi import client

__all__ = ["AUTH", "TOKEN", "ControlBench", "control_settings"]

TOKEN = "a-token-of-some-length"
AUTH = {"authorization": f"Bearer {TOKEN}"}


def control_settings(**sections) -> Settings:
    """Return settings with the control endpoints switched on."""
    control = ControlSettings(enabled=True, token=SecretStr(TOKEN))
    server = ServerSettings(admin=AdminSettings(control=control))
    return Settings(server=server, demo=DemoSettings(delay_max=0), **sections)


class ControlBench:
    """A service that is put together and not started: its ports as clients."""

    def __init__(self, **sections) -> None:
        self.store = SettingsStore.of(control_settings(**sections))
        self.service = create_service(self.store)
        self.admin = client(self.service.admin)
        self.admin.headers.update(AUTH)
        self.public = client(self.service.app)
        self.part = next(p for p in self.service.parts if p.name == "control")

    def metric(self, name: str, **labels: str) -> float | None:
        return self.service.metrics.registry.get_sample_value(name, labels)
