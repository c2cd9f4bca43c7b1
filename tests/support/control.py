"""The control endpoints: of a service in memory, and of a running one; and a token."""

import contextlib
from collections.abc import Iterator

import httpx2
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
from tests.support.process import ServiceProcess, serving

__all__ = [
    "AUTH",
    "ENDPOINTS",
    "TOKEN",
    "VARIABLE",
    "ControlBench",
    "control_settings",
    "controlled",
    "operating",
    "operator",
]

TOKEN = "a-token-of-some-length"
AUTH = {"authorization": f"Bearer {TOKEN}"}

VARIABLE = "HTTPSERVER_SERVER__ADMIN__CONTROL__TOKEN"
"""Environment variable of the token."""

ENDPOINTS = [
    ("GET", "/control"),
    ("GET", "/control/readiness"),
    ("PUT", "/control/readiness"),
    ("GET", "/control/faults"),
    ("POST", "/control/faults"),
    ("DELETE", "/control/faults"),
    ("GET", "/control/faults/f1"),
    ("DELETE", "/control/faults/f1"),
    ("GET", "/control/log-level"),
    ("PUT", "/control/log-level"),
    ("DELETE", "/control/log-level"),
    ("POST", "/control/reload"),
    ("GET", "/control/config"),
    ("GET", "/control/discovery"),
    ("GET", "/control/flags"),
]
"""Every method and path; `f1` is the first fault."""


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


def controlled(
    *arguments: str, **settings: object
) -> contextlib.AbstractContextManager[ServiceProcess]:
    """Run the service with the control endpoints switched on."""
    return serving(
        *arguments,
        environment={VARIABLE: TOKEN},
        server__admin__control__enabled=True,
        server__drain_delay=0,
        **settings,
    )


def operator(service: ServiceProcess) -> httpx2.Client:
    """Return a client of the control endpoints that has the token."""
    return httpx2.Client(
        base_url=f"{service.admin_url}/control", headers=AUTH, timeout=60
    )


@contextlib.contextmanager
def operating(service: ServiceProcess) -> Iterator[httpx2.Client]:
    """Give an operator; what it has changed is taken back at the end."""
    with operator(service) as http:
        yield http
        http.delete("/faults")
        http.put("/readiness", json={"ready": True})
        http.delete("/log-level")
