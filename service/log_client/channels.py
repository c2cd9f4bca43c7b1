"""
A channel for each endpoint, in use or on its way out.

Certificates are read when a call begins and their files have changed: calls then go
over a new channel, and the old one ends with its last call. Files that can't be used
change nothing.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc

from service.commitlog.errors import LogUnreachable
from service.discovery.model import Endpoint
from service.log_api.v1 import log_pb2, log_pb2_grpc
from service.log_client.errors import ClientClosed, NotConnected
from service.log_client.options import ChannelOptions, Tls

__all__ = ["Channels", "check_files"]

_Stamp = tuple[tuple[int, int, int], ...]
"""What changes of files when they do."""


class _Link:
    """A channel and the calls that use it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.stub = log_pb2_grpc.LogServiceStub(channel)
        self.calls = 0


class Channels:
    """
    The channels of a client.

    Args:
        options: How they are made.
        tell: Told why new certificates were not taken.

    Attributes:
        closed: Whether `close` was called.

    Concurrency:
        For one event loop.
    """

    def __init__(
        self,
        options: ChannelOptions,
        *,
        tell: Callable[[str], object] = lambda _why: None,
    ) -> None:
        self._options = options
        self._tell = tell
        self._links: dict[Endpoint, _Link] = {}
        self._retired: set[_Link] = set()
        self._stamp: _Stamp = ()
        self._credentials: grpc.ChannelCredentials | None = None
        self.closed = False

    @asynccontextmanager
    async def stub(
        self, endpoint: Endpoint
    ) -> AsyncIterator["log_pb2_grpc.LogServiceAsyncStub"]:
        """
        Give the calls of *endpoint*, over a connection that stands.

        Raises:
            LogUnreachable: There is none, or there are no certificates; nothing was
                sent.
            ClientClosed: All of them were ended.
        """
        await self._look()
        if self.closed:
            raise ClientClosed
        link = self._links.get(endpoint)
        if link is None:
            link = self._links[endpoint] = _Link(self._made(str(endpoint)))
        link.calls += 1
        try:
            try:
                await self._connected(link, endpoint)
            except grpc.aio.UsageError as error:  # of a channel that was ended
                raise ClientClosed from error
            except asyncio.CancelledError as error:
                if self.cancelled():
                    raise ClientClosed from error
                raise
            yield link.stub
        finally:
            link.calls -= 1
            await self._end_if_idle(link)

    async def keep(self, endpoints: Iterable[Endpoint]) -> None:
        """Let the channels of all others end with their last calls."""
        for each in self._links.keys() - set(endpoints):
            await self._retire(each)

    def cancelled(self) -> bool:
        """Tell whether `close` cancelled what the current task waits for."""
        task = asyncio.current_task()
        return self.closed and not (task and task.cancelling())

    async def close(self) -> None:
        """
        End all of them at once, those on their way out and calls included; there will
        be no others.
        """
        self.closed = True
        links = {*self._links.values(), *self._retired}
        self._links, self._retired = {}, set()
        for link in links:
            await link.channel.close()

    async def _retire(self, endpoint: Endpoint) -> None:
        link = self._links.pop(endpoint)
        self._retired.add(link)
        await self._end_if_idle(link)

    async def _end_if_idle(self, link: _Link) -> None:
        if link in self._retired and not link.calls:
            self._retired.remove(link)
            await link.channel.close()

    async def _look(self) -> None:
        """Take new certificates in."""
        tls = self._options.tls
        if tls is None:
            return
        try:
            stamp = _stamp(tls.files)
            if self._credentials is not None and stamp == self._stamp:
                return
            made = _credentials(tls)
        except OSError as error:
            if self._credentials is None:
                raise LogUnreachable(f"certificates: {error}") from error
            self._tell(str(error))
            return
        self._credentials, self._stamp = made, stamp
        for each in list(self._links):
            await self._retire(each)

    def _made(self, target: str) -> grpc.aio.Channel:
        arguments = self._options.arguments()
        if self._credentials is None:
            return grpc.aio.insecure_channel(target, arguments)
        return grpc.aio.secure_channel(target, self._credentials, arguments)

    async def _connected(self, link: _Link, endpoint: Endpoint) -> None:
        """Wait until a call would leave at once: one that can't is not sent at all."""
        ready, failed = (
            grpc.ChannelConnectivity.READY,
            grpc.ChannelConnectivity.TRANSIENT_FAILURE,
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(self._options.connect_timeout):
                state = link.channel.get_state(try_to_connect=True)
                while state not in (ready, failed):
                    await link.channel.wait_for_state_change(state)
                    state = link.channel.get_state(try_to_connect=True)
        if state is not ready:
            raise NotConnected(f"{endpoint}: {await _why(link)}")


async def _why(link: _Link) -> str:
    """Return why there is no connection, which gRPC tells only calls that fail."""
    try:
        await link.stub.GetOffsets(log_pb2.GetOffsetsRequest(), timeout=1.0)
    except grpc.aio.AioRpcError as failure:
        # its last words are the cause; what is before them names the address again
        last = (failure.details() or "").rpartition("last error: UNKNOWN: ")[2]
        return last or failure.code().name
    return "no connection"


def _stamp(files: tuple[Path, ...]) -> _Stamp:
    found = [each.stat() for each in files]
    return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)


def check_files(tls: Tls) -> None:
    """
    Look at the files, which gRPC itself does only in a handshake.

    Raises:
        OSError: They can't be used.
    """
    context = ssl.create_default_context(cafile=tls.ca)
    if tls.cert is not None:
        context.load_cert_chain(tls.cert, tls.key)


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    check_files(tls)
    ca, cert, key = (
        file.read_bytes() if file else None for file in (tls.ca, tls.cert, tls.key)
    )
    return grpc.ssl_channel_credentials(ca, key, cert)
