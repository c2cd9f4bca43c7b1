"""What is asked for, and the client that asks."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.client.answers import Response
from service.client.client import Client
from service.client.pools import Pools
from service.client.redirects import following
from service.client.resolving import ResolvingTransport
from service.settings import ClientSettings

__all__ = ["MOST_REDIRECTS", "Ask", "Trace", "asking", "client_for", "head_for"]

MOST_REDIRECTS = 10

Trace = Callable[[str, dict[str, Any]], Awaitable[None]]
"""Is told of each step of a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """
    A call from the command line.

    Attributes:
        method: Method.
        url: URL.
        headers: What is sent in the head.
        content: What is sent behind it.
        time_out: Seconds to connect, until the answer begins, and of silence while it
            comes; for each attempt.
        retries: Attempts after the first one, where it may be repeated.
        follow: Whether redirects are followed.
        host: Name that is asked for, in the head and in TLS; that of the URL without.
        addresses: Where to connect to, by host and port.
        ca: Authorities that vouch for it, PEM; the system's without.
        insecure: Whether nobody has to.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    content: bytes | None = None
    time_out: float = 30.0
    retries: int = 0
    follow: bool = False
    host: str | None = None
    addresses: Mapping[tuple[str, int], str] = field(default_factory=dict)
    ca: Path | None = None
    insecure: bool = False


def client_for(ask: Ask, *, connections: int = 1) -> Client:
    """
    Return a client that does what is asked and no more: what fails is shown, not kept
    from happening again.
    """
    steps = ("connect", "read", "write", "pool")
    settings = ClientSettings(
        **{f"{step}_timeout": ask.time_out for step in steps},
        attempt_timeout=2 * ask.time_out,
        timeout=min(3 * ask.time_out * (ask.retries + 1), 86_400.0),
        attempts=ask.retries + 1,
        retry_ratio=100,
        retry_burst=1e6,
        retry_after_most=ask.time_out,
        breaker=False,
        max_in_flight=0,
        max_connections=connections,
        max_idle_connections=connections,
        idle_timeout=60.0,
        ca_file=ask.ca,
    )
    pools = Pools(settings, verify=not ask.insecure)

    async def transport(secure: bool) -> ResolvingTransport:  # noqa: FBT001 - as `Pools`
        return ResolvingTransport(await pools(secure), ask.addresses)

    return Client(lambda: settings, transport=transport)


@asynccontextmanager
async def asking(
    client: Client, ask: Ask, *, trace: Trace | None = None
) -> AsyncIterator[Response]:
    """
    Give the answer, whose body is still to come.

    Raises:
        ClientError: There is none.
    """
    headers, extensions = head_for(ask)
    if trace is not None:
        extensions["trace"] = trace
    most = MOST_REDIRECTS if ask.follow else 0
    async with following(
        client,
        ask.method,
        ask.url,
        most=most,
        headers=headers,
        content=ask.content,
        extensions=extensions,
    ) as answer:
        yield answer


def head_for(ask: Ask) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """Return the headers of a call, and what TLS is told of the name that is asked."""
    headers = list(ask.headers)
    if ask.host is None:
        return headers, {}
    headers.append(("host", ask.host))
    return headers, {"sni_hostname": ask.host.rpartition(":")[0] or ask.host}
