"""
A named server: one ASGI application on one or more ports, on the running event loop or
on a thread of its own.

uvicorn opens the plain ports and loads the application; the protocol on them is
`HttpProtocol`. What is ours here is TLS with certificates that change, and the stop:
uvicorn closes idle connections the moment it stops listening, which loses requests that
are already on their way, waits without end for readers that never read, and hides how
many requests it cut.
"""

import asyncio
import ssl
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol, TypeVar

import uvicorn
import uvloop

from service.concurrency.cancelling import cancelled
from service.observability.logging import get_logger
from service.server.exchange import ASGIApp
from service.server.guard import Guard
from service.server.ports import Endpoint, Ports
from service.server.protocol import HttpProtocol

__all__ = ["Server", "ServerThread", "TlsSource"]

T = TypeVar("T")

LINGER = 0.5
"""Seconds that idle connections stay open after the listener closed, for a request that
was already on its way; it is answered with `Connection: close`."""

ACCEPTS = 16
"""Connections of a plain port that are accepted in one turn of the event loop: libuv
takes one of each socket, so there are so many of them. With one alone, new connections
would wait for seconds while those that are open keep a loaded loop busy."""

_AGAIN = 1.0
"""Seconds until a new context is tried again that there were no files for."""

_POLL = 0.02
"""Seconds between two looks at the connections while draining."""


class TlsSource(Protocol):
    """Where a server has its TLS context from."""

    @property
    def context(self) -> ssl.SSLContext:
        """The context of now."""

    @property
    def handshake_timeout(self) -> float:
        """Seconds that a handshake may take."""

    @property
    def shutdown_timeout(self) -> float:
        """Seconds that a client may take to close TLS."""

    def subscribe(
        self, callback: Callable[[ssl.SSLContext], None]
    ) -> Callable[[], None]:
        """Call *callback* on the event loop with each new context; return its end."""


class Server:
    """
    An ASGI application on one or more ports.

    Args:
        app: What answers.
        ports: Where to listen; their name is the server's.
        backlog: Connections that the kernel may queue for each port.
        guard: Limits and counts of its connections.
        tls: Where the certificate of TLS ports comes from.

    Concurrency:
        `start` and `stop` belong to one event loop; `bind` may run anywhere before.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        ports: Ports,
        backlog: int = 2048,
        guard: Guard | None = None,
        tls: TlsSource | None = None,
    ) -> None:
        self.name = ports.name
        self.ports = ports
        self._guard = guard or Guard()
        self._tls = tls
        self._tls_servers: list[asyncio.Server] = []
        self._swaps: set[asyncio.Task[None]] = set()
        self._swapping = asyncio.Lock()
        self._unsubscribe: Callable[[], None] = lambda: None
        self._ticking: asyncio.Task[None] | None = None
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                http=partial(HttpProtocol, guard=self._guard),  # type: ignore[arg-type]  # called as a class is
                backlog=backlog,
            )
        )

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where it listens."""
        return self.ports.endpoints

    @property
    def in_flight(self) -> int:
        """Requests that are being answered."""
        return len(self._uvicorn.server_state.tasks)

    def bind(self) -> None:
        """
        Take the ports, without listening yet.

        Raises:
            StartError: A port is in use or may not be taken; the text names it.
        """
        self.ports.bind()

    async def start(self) -> None:
        """Listen on the ports, bound first if they are not."""
        self.bind()
        server = self._uvicorn
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        shared = [each.dup() for each in self.ports.plain for _ in range(ACCEPTS)]
        await server.startup(sockets=shared)
        if self._tls is not None and self.ports.tls:
            await self._listen_tls(self._tls.context)
            self._unsubscribe = self._tls.subscribe(self._renew_tls)
        self._ticking = asyncio.create_task(server.main_loop())

    def _renew_tls(self, context: ssl.SSLContext) -> None:
        swap = asyncio.get_running_loop().create_task(self._swap_tls(context))
        self._swaps.add(swap)
        swap.add_done_callback(self._swaps.discard)

    async def _swap_tls(self, context: ssl.SSLContext) -> None:
        """Listen with *context* as soon as there is a file for each socket."""
        while self._tls is not None and self._tls.context is context:
            try:
                await self._listen_tls(context)
            except OSError as error:
                reason = error.strerror or str(error)
                get_logger("httpserver.tls").error("tls_listen_failed", reason=reason)
                await asyncio.sleep(_AGAIN)
            else:
                return

    async def _listen_tls(self, context: ssl.SSLContext) -> None:
        """
        Accept TLS connections with *context* from now on.

        The new listener has the old one's socket, duplicated: a connection that the
        kernel has queued goes to whichever is there, and none is dropped. Connections
        that are open keep the context they were made with.
        """
        assert self._tls is not None  # noqa: S101 - narrows the type: asked before
        config, loop = self._uvicorn.config, asyncio.get_running_loop()
        protocol = partial(
            HttpProtocol, config, self._uvicorn.server_state, {}, guard=self._guard
        )
        async with self._swapping:  # else one that is overtaken would go on accepting
            listening = []
            try:
                for each in self.ports.tls:
                    server = await loop.create_server(
                        protocol,
                        sock=each.dup(),
                        ssl=context,
                        backlog=config.backlog,
                        ssl_handshake_timeout=self._tls.handshake_timeout,
                        ssl_shutdown_timeout=self._tls.shutdown_timeout,
                    )
                    listening.append(server)
                # those that could not all be replaced go on with what they have
                self._tls_servers, listening = listening, self._tls_servers
            finally:
                for stale in listening:
                    stale.close()

    def begin_drain(self) -> None:
        """Keep accepting, and close each connection after its answer."""
        self._guard.drain.active = True

    async def stop(self, *, grace: float) -> int:
        """
        Stop listening, let requests in flight finish, close every connection.

        Args:
            grace: Seconds that requests in flight may take; then they are cancelled.

        Returns:
            How many requests were cut.
        """
        self.begin_drain()
        self._stop_listening()
        state = self._uvicorn.server_state
        end = asyncio.get_running_loop().time() + grace
        if state.connections:
            await asyncio.sleep(min(LINGER, grace))
        self._guard.leaving = True
        for connection in list(state.connections):
            connection.shutdown()
        await _until(lambda: not state.connections and not state.tasks, end)
        cut = await self._cut()
        if self._ticking is not None:
            self._uvicorn.should_exit = True
            await cancelled([self._ticking])
        return cut

    def _stop_listening(self) -> None:
        self._unsubscribe()
        for swap in self._swaps:
            swap.cancel()
        for each in (*getattr(self._uvicorn, "servers", []), *self._tls_servers):
            each.close()
        self.ports.close()

    async def _cut(self) -> int:
        """Cancel what is still running and reset what is still connected."""
        state = self._uvicorn.server_state
        tasks = list(state.tasks)
        for task in tasks:
            task.cancel()
        for connection in list(state.connections):
            connection.transport.abort()
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)
        return len(tasks)


class ServerThread:
    """
    A server on an event loop and thread of its own, that answers while others are busy.

    Concurrency:
        Made, started and stopped from any one event loop; the application runs on the
        thread's loop alone.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.started = False
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(
            target=self._run, name=f"{server.name}-loop", daemon=True
        )

    async def start(self) -> None:
        """
        Start the thread and listen.

        Raises:
            StartError: The port can't be had.
        """
        self._thread.start()
        self.started = True
        await self.call(self.server.start())

    async def stop(self, *, grace: float) -> int:
        """Stop the server and end the thread; return how many requests were cut."""
        cut = await self.call(self.server.stop(grace=grace))
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()
        return cut

    async def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run *coroutine* on the thread's loop and return its result."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return await asyncio.wrap_future(future)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()


async def _until(condition: Callable[[], bool], end: float) -> None:
    """Wait until *condition* or the loop time *end*."""
    loop = asyncio.get_running_loop()
    while not condition() and loop.time() < end:  # noqa: ASYNC110 - uvicorn signals no end of a connection
        await asyncio.sleep(_POLL)
