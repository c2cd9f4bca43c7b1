"""A server's TLS ports take each new context up, in whatever order things happen."""

import asyncio
import contextlib

from service.server.listener import Server
from service.server.ports import Ports
from service.server.routes import Route
from service.server.tls import load
from tests.support.asgi import application
from tests.support.certificates import Authority, TlsMount, client_context
from tests.support.https_load import served_serial

AUTHORITY = Authority()


class Source:
    """Contexts that a test gives out."""

    handshake_timeout = 5.0
    shutdown_timeout = 1.0

    def __init__(self, folder):
        self._folder = folder
        self._callbacks = []
        self.issued = AUTHORITY.server()
        self.context = self._load()

    def _load(self):
        self._folder /= "next"
        return load(TlsMount(self._folder, self.issued).settings()).context

    def subscribe(self, callback):
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def renew(self):
        self.issued = AUTHORITY.server()
        self.context = self._load()
        for callback in self._callbacks:
            callback(self.context)


@contextlib.asynccontextmanager
async def running(source):
    async def hello(ctx):
        return ctx.write_text("hello")

    server = Server(
        application(Route(path="/", handler=hello)),
        ports=Ports("test", plain=(), tls=(0,)),
        tls=source,
    )
    await server.start()
    try:
        yield server
    finally:
        await server.stop(grace=1)


async def test_contexts_in_quick_succession_leave_only_the_last(tmp_path):
    """No listener of one that was overtaken goes on accepting."""
    source = Source(tmp_path)
    async with running(source) as server:
        for _ in range(3):
            source.renew()
        await asyncio.sleep(0.05)
        port = server.endpoints[0].port
        trust = client_context(AUTHORITY)
        shown = {await served_serial(port, trust) for _ in range(20)}
        listeners = len(server._tls_servers)

    assert listeners == 1
    assert shown == {source.issued.serial}


async def test_context_after_the_stop_opens_nothing(tmp_path):
    """The files may change while the process is on its way out."""
    source = Source(tmp_path)
    async with running(source):
        pass
    source.renew()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}

    assert tasks == set()
