"""Health by HTTP: a GET that is answered with less than 400, as the kubelet has it."""

from http import HTTPStatus

import httpx2

from service.discovery.health import Probe
from service.discovery.model import Endpoint

__all__ = ["answers"]


def answers(path: str, *, host: str = "") -> Probe:
    """
    Return the probe that GETs *path*.

    Each check connects anew: a connection that was kept says nothing about a listener.

    Args:
        path: With its leading slash.
        host: Value of the `Host` header; the endpoint's own without.
    """
    client = httpx2.AsyncClient(
        verify=False,
        trust_env=False,
        limits=httpx2.Limits(max_keepalive_connections=0),
        headers={"user-agent": "httpserver-health", **({"host": host} if host else {})},
        timeout=None,
    )

    async def probe(endpoint: Endpoint) -> bool:
        async with client.stream("GET", f"http://{endpoint}{path}") as answer:
            return answer.status_code < HTTPStatus.BAD_REQUEST

    return probe
