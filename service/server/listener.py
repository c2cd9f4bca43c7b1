"""
A named server: one ASGI application on one or more ports, on the running event loop or
on a thread of its own.

The HTTP protocol is uvicorn's. What is ours is the stop: uvicorn closes idle
connections the moment it stops listening, which loses requests that are already on
their way, waits without end for readers that never read, and hides how many requests
it cut.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping, Sequence
from typing import Any, TypeVar

import uvicorn

from service.errors import StartError
from service.server.context import Drain

__all__ = ["Server", "ServerThread", "bound_sockets"]

T = TypeVar("T")

ASGIApp = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[Any]],
        Callable[[Any], Awaitable[None]],
    ],
    Awaitable[None],
]

LINGER = 0.5
"""Seconds that idle connections stay open after the listener closed, for a request that
was already on its way; it is answered with `Connection: close`."""

_POLL = 0.02
"""Seconds between two looks at the connections while draining."""


class Server:
    """
    An ASGI application on one or more ports.

    Args:
        app: What answers.
        name: Name in logs and errors.
        host: Address to listen on.
        ports: Ports to listen on; 0 takes a free one.
        backlog: Connections that the kernel may queue for each port.
        keep_alive: Idle seconds until a kept-alive connection is closed.
        drain: The application's flag that closes connections after their answer.

    Concurrency:
        `start` and `stop` belong to one event loop; `bind` may run anywhere before.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        name: str,
        host: str = "127.0.0.1",
        ports: Sequence[int] = (0,),
        backlog: int = 2048,
        keep_alive: float = 75.0,
        drain: Drain | None = None,
    ) -> None:
        self.name = name
        self._drain = drain or Drain()
        self._host = host
        self._ports = tuple(ports)
        self._sockets: list[socket.socket] = []
        self._ticking: asyncio.Task[None] | None = None
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                http="httptools",
                backlog=backlog,
                timeout_keep_alive=keep_alive,  # type: ignore[arg-type]  # any number of seconds will do
            )
        )

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each bound socket."""
        return [each.getsockname()[:2] for each in self._sockets]

    @property
    def in_flight(self) -> int:
        """Requests that are being answered."""
        return len(self._uvicorn.server_state.tasks)

    def bind(self, sockets: Sequence[socket.socket] | None = None) -> None:
        """
        Take the ports, without listening yet.

        Args:
            sockets: Bound sockets to use instead, such as a parent process's.

        Raises:
            StartError: A port is in use or may not be taken; the text names it.
        """
        if sockets is not None:
            self._sockets = list(sockets)
        elif not self._sockets:
            self._sockets = bound_sockets(self.name, self._host, self._ports)

    async def start(self) -> None:
        """Listen on the ports, bound first if they are not."""
        self.bind()
        server = self._uvicorn
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup(sockets=self._sockets)
        self._ticking = asyncio.create_task(server.main_loop())

    def begin_drain(self) -> None:
        """Keep accepting, and close each connection after its answer."""
        self._drain.active = True

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
        for connection in list(state.connections):
            connection.shutdown()
        await _until(lambda: not state.connections and not state.tasks, end)
        cut = await self._cut()
        if self._ticking is not None:
            self._uvicorn.should_exit = True
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking
        return cut

    def _stop_listening(self) -> None:
        for each in getattr(self._uvicorn, "servers", []):
            each.close()
        self._close_sockets()

    def _close_sockets(self) -> None:
        for each in self._sockets:
            each.close()

    async def _cut(self) -> int:
        """Cancel what is still running and reset what is still connected."""
        state = self._uvicorn.server_state
        tasks = list(state.tasks)
        for task in tasks:
            task.cancel()
        for connection in list(state.connections):
            if connection.transport is not None:
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
        self._loop = asyncio.new_event_loop()
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


def bound_sockets(name: str, host: str, ports: Sequence[int]) -> list[socket.socket]:
    """
    Return a bound socket for each port; a child process may inherit them.

    Args:
        name: Name of the server, for the error.
        host: Address, IPv4 or IPv6.
        ports: Ports; 0 takes a free one.

    Raises:
        StartError: A port is in use or may not be taken; the text names it.
    """
    sockets: list[socket.socket] = []
    for port in ports:
        try:
            sockets.append(_bound(host, port))
        except OSError as error:
            for each in sockets:
                each.close()
            reason = error.strerror or str(error)
            msg = f"{name}: can't listen on {host}:{port}: {reason}"
            raise StartError(msg) from error
    return sockets


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    sock.set_inheritable(True)  # a worker process takes it over
    return sock


async def _until(condition: Callable[[], bool], end: float) -> None:
    """Wait until *condition* or the loop time *end*."""
    loop = asyncio.get_running_loop()
    while not condition() and loop.time() < end:  # noqa: ASYNC110 - uvicorn signals no end of a connection
        await asyncio.sleep(_POLL)
