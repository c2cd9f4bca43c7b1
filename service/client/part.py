"""
The client of a service: made when somebody asks for it, closed with the service.

Nothing of the HTTP library is imported before: a service that calls nobody starts
without it.
"""

from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING

import structlog

from service.settings import ClientSettings

if TYPE_CHECKING:
    from service.client.client import Client, Propagate
    from service.discovery.balancer import Balancer
    from service.observability.client_metrics import ClientMetrics

__all__ = ["ClientPart", "propagating"]

REQUEST_ID = "x-request-id"


class ClientPart:
    """
    Makes the client.

    Args:
        settings: Gives the settings as they are now.
        metrics: Makes what counts its calls.
        propagate: Adds headers to each call.
        balancer: Gives what finds endpoints, if there is discovery.

    Concurrency:
        For the main event loop.
    """

    name = "client"

    def __init__(
        self,
        settings: Callable[[], ClientSettings],
        *,
        metrics: "Callable[[], ClientMetrics]",
        propagate: "Propagate",
        balancer: "Callable[[], Balancer | None]" = lambda: None,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._propagate = propagate
        self._balancer = balancer
        self._client: Client | None = None

    def get(self) -> "Client":
        """Return the client, the same each time."""
        if self._client is None:
            from service.client.client import Client

            self._client = Client(
                self._settings,
                balancer=self._balancer(),
                propagate=self._propagate,
                metrics=self._metrics(),
            )
        return self._client

    async def start(self) -> None:
        """Do nothing: connections are made when they are needed."""

    async def stop(self) -> None:
        """Close its connections."""
        if self._client is not None:
            await self._client.close()


def propagating(
    inject: "Propagate | None",
) -> "Propagate":
    """
    Return what adds the id of the request that is being answered, and its trace.

    Args:
        inject: Adds the trace; None where nothing is traced.
    """

    def propagate(headers: MutableMapping[str, str]) -> None:
        request_id = structlog.contextvars.get_contextvars().get("request_id")
        if request_id and REQUEST_ID not in headers:
            headers[REQUEST_ID] = request_id
        if inject is not None:
            inject(headers)

    return propagate
