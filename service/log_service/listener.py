"""
The gRPC listener: opened with the service, drained with it.

    start         bind, serve; the health service follows readiness
    begin_drain   the health says NOT_SERVING, calls are still taken: load balancers and
                  clients that watch the health go elsewhere
    finish        streams are told that the service stops, no call is taken, those that
                  are under way finish within the grace period
    stop          what is left is cut off
"""

import asyncio
from collections.abc import Awaitable, Callable

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio

from service.concurrency.cancelling import cancelled
from service.errors import StartError
from service.log_api.v1 import log_pb2
from service.log_service.calls import Calls
from service.log_service.credentials import ServerCredentials
from service.log_service.ending import Endings
from service.log_service.reflecting import add_reflection
from service.observability.logging import get_logger
from service.settings.log_service import LogLimitSettings, LogServiceSettings

__all__ = ["LogListener"]

SERVICE = log_pb2.DESCRIPTOR.services_by_name["LogService"].full_name
"""Full name of the service, under which its health is told too."""

HEALTH_INTERVAL = 0.5
"""Seconds between two looks at the readiness."""

MAX_METADATA_BYTES = 16_384
"""Largest metadata of a call: tokens and traces are well below."""


class LogListener:
    """
    The part that listens.

    Args:
        settings: Where, and within which limits.
        register: Adds the log service to the server.
        calls: Stands around each call.
        endings: Ends the streams.
        ready: Whether the service takes requests.
        credentials: What the port is opened with; no TLS without.

    Attributes:
        port: Where it listens; 0 before `start`.

    Concurrency:
        For the main event loop.
    """

    name = "log_service"

    def __init__(
        self,
        settings: LogServiceSettings,
        *,
        register: Callable[[grpc.aio.Server], None],
        calls: Calls,
        endings: Endings,
        ready: Callable[[], Awaitable[bool]],
        credentials: ServerCredentials | None = None,
    ) -> None:
        self._settings = settings
        self._register = register
        self._calls = calls
        self._endings = endings
        self._ready = ready
        self._credentials = credentials
        self._health = health_aio.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self._following: asyncio.Task[None] | None = None
        self._shutting: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._log = get_logger("httpserver.log_service")
        self.port = 0

    async def start(self) -> None:
        """
        Bind and serve.

        Raises:
            StartError: The port can't be had.
        """
        server = grpc.aio.server(
            interceptors=[self._calls],
            options=_options(self._settings.limits),
            maximum_concurrent_rpcs=self._settings.limits.max_calls + _FURTHER_CALLS,
        )
        self._register(server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if self._settings.reflection:
            health = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
            add_reflection(server, (SERVICE, health))
        self.port = self._bind(server)
        self._server = server
        await self._tell(ready=False)
        await server.start()
        self._following = asyncio.create_task(self._follow())
        self._loop = asyncio.get_running_loop()
        host = self._settings.host
        self._log.info("listening", server="httpserver-log", host=host, port=self.port)

    def look(self) -> None:
        """End the streams of those who may no longer have them; on any thread."""
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._endings.look)

    def begin_drain(self) -> None:
        """Tell the health that the service goes; take calls as before."""
        shutting = self._health.enter_graceful_shutdown()
        self._shutting = asyncio.ensure_future(shutting)

    async def finish(self, *, grace: float) -> int:
        """
        End the streams, take no more calls, let those under way finish.

        Returns:
            How many were cut off after *grace* seconds.
        """
        if self._server is None:
            return 0
        self._endings.stop()
        # a grace of its own, which is never used up: what is left then is cut off below
        stopping = asyncio.ensure_future(self._server.stop(grace + _TAKE_STATUS + 1.0))
        await self._calls.idle(grace)
        # those that wait have been told; one that reads nothing is not waited for
        await asyncio.wait({stopping}, timeout=min(grace, _TAKE_STATUS))
        self._calls.stopping = True
        await self._server.stop(None)
        await stopping
        return self._calls.cut

    async def stop(self) -> None:
        """Cut off what is left."""
        self._loop = None
        await cancelled(filter(None, (self._following, self._shutting)))
        await self.finish(grace=0.0)

    def _bind(self, server: grpc.aio.Server) -> int:
        host, port = self._settings.host, self._settings.port
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if self._credentials is None:
                return server.add_insecure_port(address)
            return server.add_secure_port(address, self._credentials.credentials())
        except RuntimeError as error:
            raise StartError(f"can't listen on {address}: is it in use?") from error

    async def _follow(self) -> None:
        """Let the health say what the readiness probe says."""
        while True:
            await self._tell(ready=await self._ready())
            await asyncio.sleep(HEALTH_INTERVAL)

    async def _tell(self, *, ready: bool) -> None:
        statuses = health_pb2.HealthCheckResponse
        status = statuses.SERVING if ready else statuses.NOT_SERVING
        for name in ("", SERVICE):
            await self._health.set(name, status)


_FURTHER_CALLS = 100
"""Calls of the health and of reflection; gRPC itself refuses more, without a reason."""

_TAKE_STATUS = 1.0
"""Seconds that streams have to take the status that ends them."""


def _options(limits: LogLimitSettings) -> list[tuple[str, int]]:
    """
    Return the limits as options of gRPC.

    Source: https://grpc.github.io/grpc/core/group__grpc__arg__keys.html
    """
    milliseconds = {
        "grpc.server_handshake_timeout_ms": limits.handshake_timeout,
        "grpc.max_connection_idle_ms": limits.idle_timeout,
        "grpc.keepalive_time_ms": limits.keepalive_interval,
        "grpc.keepalive_timeout_ms": limits.keepalive_timeout,
        "grpc.http2.min_ping_interval_without_data_ms": limits.min_ping_interval,
    }
    return [
        *((name, int(seconds * 1000)) for name, seconds in milliseconds.items()),
        # a second process on the port must fail, not take half of the connections
        ("grpc.so_reuseport", 0),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_ping_strikes", 2),
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.max_receive_message_length", limits.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_concurrent_streams", limits.max_calls_per_connection),
        # it counts calls that are over and not yet forgotten, and would refuse others
        ("grpc.http.overload_protection", 0),
        ("grpc.max_allowed_incoming_connections", limits.max_connections),
    ]
