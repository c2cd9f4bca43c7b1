"""Requests that are under way while the routes of the proxy change."""

import asyncio
import contextlib
import gc
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from service.config.store import SettingsStore
from service.errors import RequestError
from service.proxy.assembly import Proxy
from service.server.context import RequestContext
from service.server.lifecycle import Phase
from service.settings import Settings
from tests.support.proxy import QUICK, route


@contextlib.asynccontextmanager
async def proxy_before(upstream: str, **fields):
    """Give a proxy with one route, which can be taken away."""
    settings = Settings.model_validate(
        {"proxy": {"enabled": True, "routes": [route(upstream, **fields)]}}
    )
    core = SimpleNamespace(
        store=SettingsStore.of(settings),
        metrics=SimpleNamespace(shared=CollectorRegistry()),
        health=SimpleNamespace(phase=lambda: Phase.READY),
        balancer=lambda: None,
    )
    proxy = Proxy(core)
    await proxy.start()
    yield proxy
    await proxy.stop()


@contextlib.asynccontextmanager
async def listening(serve):
    """Give the URL of a port where *serve* gets each connection."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield "http://{}:{}".format(*server.sockets[0].getsockname())
    finally:
        server.close()


def asked() -> RequestContext:
    scope = {
        "method": "GET",
        "path": "/up/x",
        "raw_path": b"/up/x",
        "headers": [(b"host", b"a")],
        "http_version": "1.1",
    }
    return RequestContext(scope, None, None, body_limit=1000)


async def test_request_that_a_reload_overtakes_keeps_its_time_outs():
    """It may be let in, or wait between two attempts, while its route is taken away."""
    ended = asyncio.Event()

    async def silent(reader, writer):
        await reader.read()
        ended.set()
        writer.close()

    async with (
        listening(silent) as url,
        proxy_before(url, timeouts=QUICK, retries=0) as proxy,
        asyncio.timeout(30),
    ):
        ctx = asked()
        found = proxy.find(ctx)
        none = Settings().proxy
        proxy._build(none)  # what a reload calls
        await asyncio.sleep(0.25)  # some sweeps, which see nothing under way

        with pytest.raises(RequestError) as failed:
            await found.handler(ctx)

        assert failed.value.status == 504
        await ended.wait()


async def test_connection_of_an_upstream_that_is_gone_is_not_kept():
    """Nobody would close it."""
    ended = asyncio.Event()

    async def answering(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await reader.read()
        ended.set()
        writer.close()

    async with (
        listening(answering) as url,
        proxy_before(url, retries=0) as proxy,
        asyncio.timeout(30),
    ):
        ctx = asked()
        found = proxy.find(ctx)
        proxy._build(Settings().proxy)

        response = await found.handler(ctx)
        assert response.body == b"ok"
        await ended.wait()

        del found
        gc.collect()
        assert not proxy._gone
