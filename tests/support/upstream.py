"""A client over upstreams that answer what a test says."""

from collections.abc import Callable
from typing import Any

import httpx2
from prometheus_client import CollectorRegistry

from service.client.client import Client
from service.client.pools import MakeTransport
from service.observability.client_metrics import ClientMetrics
from service.settings import ClientSettings

__all__ = ["URL", "Answers", "client_of", "settings_of"]

URL = "http://shop:8080/cart"


def settings_of(**changes: Any) -> ClientSettings:
    """Settings whose waits are short."""
    return ClientSettings.model_validate({"backoff": 0.001} | changes)


class Answers:
    """
    Answers requests with what it was given, the last one for ever: a status, a status
    and headers, what is raised, or a function of the request.
    """

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []

    async def __call__(self, _secure: bool) -> httpx2.AsyncBaseTransport:
        return httpx2.MockTransport(self._answer)

    @property
    def hosts(self) -> list[str]:
        return [request.url.host for request in self.requests]

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, type) and issubclass(answer, Exception):
            raise answer("as told")
        if callable(answer):
            answer = await answer(request)
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        return httpx2.Response(status, headers=headers, content=b"body")


def client_of(
    transport: MakeTransport, **options: Any
) -> tuple[Client, Callable[..., float | None]]:
    """
    Return a client, and what gives the value of one of its metrics.

    Options that are settings are changes of them.
    """
    known = ClientSettings.model_fields.keys() & options.keys()
    settings = settings_of(**{name: options.pop(name) for name in known})
    registry = CollectorRegistry()
    client = Client(
        lambda: settings,
        transport=transport,
        metrics=ClientMetrics(registry),
        **options,
    )

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"httpserver_client_{name}", labels)

    return client, value
