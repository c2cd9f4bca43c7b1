"""
The client of NATS, which leaves no connection behind and waits for none.

The library's own, while it connects again, forgets a connection whose server took it
and said nothing: each try leaves one more open to a server that hangs. It sends what
waits to such a server before it lets go of it, to connect again or to end, and would
wait for ever. And when it is closed it cancels the tries to connect once, which may be
lost: before Python 3.12 `asyncio.wait_for` drops a cancellation that comes in the
moment in which its work is done. The tries then go on for ever.

Source: https://github.com/nats-io/nats.py/blob/main/nats/src/nats/aio/client.py,
https://bugs.python.org/issue42130
"""

import asyncio
import contextlib

from nats.aio.client import Client, Srv
from nats.aio.transport import TcpTransport
from typing_extensions import override

__all__ = ["NatsClient"]

_AGAIN = 0.25
"""Seconds after which tries to connect that did not end are cancelled once more."""

_SENDING = 2.0
"""Seconds that a server may take, at the end, to receive what waits to be sent."""

_GONE = (OSError, RuntimeError)
"""What asyncio, and what uvloop raises for a connection that is no longer there."""


class NatsClient(Client):
    """A client that closes every connection that it made."""

    @override
    async def _attempt_reconnect(self) -> None:
        self._abort()
        await super()._attempt_reconnect()

    @override
    async def _connect_to_server(self, s: Srv) -> None:
        if self._transport:
            self._transport.close()  # type: ignore[no-untyped-call] # of the try before
        await super()._connect_to_server(s)

    @override
    async def close(self) -> None:
        """Send what waits, and end."""
        await self._stop_connecting()
        late = asyncio.get_running_loop().call_later(_SENDING, self._abort)
        try:
            await super().close()
        except _GONE:
            # It fails where what waits can't be sent, and leaves its socket open; it
            # goes through to the end when it is told that it is not closed yet.
            self._status = Client.DISCONNECTED
            with contextlib.suppress(*_GONE):
                await super().close()
        finally:
            late.cancel()

    def _abort(self) -> None:
        """Give the connection up, whatever is still to be sent."""
        if isinstance(self._transport, TcpTransport) and self._transport:
            writer = self._transport._io_writer  # noqa: SLF001 - nothing public ends it
            if writer is not None:
                writer.transport.abort()

    async def _stop_connecting(self) -> None:
        task = self._reconnection_task
        while task is not None and not task.done():
            if task is asyncio.current_task():
                return
            task.cancel()
            await asyncio.wait([task], timeout=_AGAIN)
            task = self._reconnection_task
