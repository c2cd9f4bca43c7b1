"""Attempts of one request, in virtual time: all of them together keep `total`."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from service.errors import RequestError
from service.observability.proxy_metrics import ProxyMetrics, RouteMetrics
from service.proxy.failures import NotConnected, TimedOut
from service.proxy.forwarding import Forwarder
from service.proxy.targets import Target
from service.proxy.tunnel import Tunnels
from service.server.context import RequestContext
from service.settings.proxy import ProxyRoute
from tests.support.upstream_connection import MemoryUpstream
from tests.support.virtual_time import in_virtual_time


class Unreachable(MemoryUpstream):
    """Nobody takes its connections."""

    async def take(self, *, connect, fresh):
        self.taken += 1
        await asyncio.sleep(connect)
        raise TimedOut("connect")


class Refusing(MemoryUpstream):
    """Nobody listens."""

    async def take(self, *, connect, fresh):
        self.taken += 1
        raise NotConnected


class Silent(MemoryUpstream):
    """It takes a request and answers none; what is late is looked for in time."""

    async def take(self, *, connect, fresh):
        connection = await super().take(connect=connect, fresh=fresh)
        loop = asyncio.get_running_loop()
        for tenth in range(1, 50):
            when = loop.time() + tenth / 10
            loop.call_at(when, connection.check, when)
        return connection


def forwarder(upstream, **timeouts):
    """A route with as many attempts as there may be."""
    settings = {"path": "/up/", "upstream": "http://up:80", "retries": 5}
    route = ProxyRoute.model_validate(settings | {"timeouts": timeouts})
    metrics = ProxyMetrics(CollectorRegistry())
    return Forwarder(
        route,
        Target(route),
        upstream,
        via=b"edge",
        metrics=RouteMetrics(metrics, route="/up/*", upstream="up"),
        inject=None,
        tunnels=Tunnels(lambda: False, grace=lambda: 0.0),
    )


def asked() -> RequestContext:
    scope = {
        "method": "GET",
        "path": "/up/x",
        "raw_path": b"/up/x",
        "headers": [(b"host", b"a")],
        "http_version": "1.1",
    }
    return RequestContext(scope, None, None, body_limit=0)


@pytest.mark.parametrize(
    ("upstream", "total", "reason"),
    [
        (Unreachable, 1.0, "connect_timeout"),
        (Silent, 1.0, "total_timeout"),
        (Refusing, 0.01, "refused"),
    ],
)
@in_virtual_time
async def test_attempts_end_with_the_time_for_everything(upstream, total, reason):
    """Neither connecting, nor a pause, nor another attempt goes beyond."""
    up = upstream()
    handler = forwarder(up, connect=2.0, head=10.0, total=total).handle

    with pytest.raises(RequestError) as failed:
        await handler(asked())

    assert failed.value.extensions["reason"] == reason
    assert asyncio.get_running_loop().time() <= total + 0.1
    assert up.taken == (6 if upstream is Refusing else 1)


@in_virtual_time
async def test_attempts_without_an_end_have_their_own_time_outs():
    """A total of 0 bounds nothing."""
    up = Unreachable()
    handler = forwarder(up, connect=2.0, total=0.0).handle

    with pytest.raises(RequestError):
        await handler(asked())

    assert up.taken == 6
    assert asyncio.get_running_loop().time() >= 12.0
