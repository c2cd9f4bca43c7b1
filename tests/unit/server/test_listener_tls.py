"""A server's TLS ports take each new context up, in whatever order things happen."""

import asyncio
import contextlib
import errno

import uvloop

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


def test_contexts_in_quick_succession_leave_only_the_last(tmp_path):
    """No listener of one that was overtaken goes on accepting."""
    # the service's own loop: asyncio's drops what it has accepted when a listener goes
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_succession(Source(tmp_path)))


async def _succession(source):
    async with running(source) as server:
        for _ in range(3):
            source.renew()
        port = server.endpoints[0].port
        trust = client_context(AUTHORITY)
        async with asyncio.timeout(60):
            while await served_serial(port, trust) != source.issued.serial:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)  # what was overtaken would come by now
        shown = {await served_serial(port, trust) for _ in range(20)}
        listeners = len(server._tls_servers)

    assert listeners == 1
    assert shown == {source.issued.serial}


class Short:
    """A socket of a process that has no file left for one more, the first time."""

    def __init__(self, sock):
        self._sock = sock
        self.asked = 0

    def dup(self):
        self.asked += 1
        if self.asked == 1:
            raise OSError(errno.EMFILE, "Too many open files")
        return self._sock.dup()

    def __getattr__(self, name):
        return getattr(self._sock, name)


def test_context_that_there_is_no_file_for_is_taken_up_later(tmp_path):
    """Until then the one before is shown, and it is the server's to close."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_shortage(Source(tmp_path)))


async def _shortage(source):
    async with running(source) as server:
        before, port = source.issued.serial, server.endpoints[0].port
        trust = client_context(AUTHORITY)
        server.ports.tls = [Short(each) for each in server.ports.tls]

        source.renew()
        await asyncio.sleep(0.05)
        kept = await served_serial(port, trust), len(server._tls_servers)
        async with asyncio.timeout(60):
            while await served_serial(port, trust) != source.issued.serial:
                await asyncio.sleep(0.02)

        assert len(server._tls_servers) == 1
    assert kept == (before, 1)


async def test_context_after_the_stop_opens_nothing(tmp_path):
    """The files may change while the process is on its way out."""
    source = Source(tmp_path)
    async with running(source):
        pass
    source.renew()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}

    assert tasks == set()
