"""
Requests to NATS, with what each failure means to a log.

One subscription takes the answers to all requests, those of several messages too; when
the log is closed, all who wait hear it at once. The client connects again by itself,
for ever, to any server of the cluster.
"""

import asyncio
import contextlib
import itertools
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any

from nats import errors
from nats.aio.msg import Msg

from service.commitlog.errors import LogClosed, LogUnreachable
from service.commitlog.jetstream_client import NatsClient
from service.commitlog.jetstream_options import JetStreamOptions

__all__ = ["Connection", "NoAnswer", "NotSent", "Refused", "decoded", "status_of"]

_log = logging.getLogger(__name__)

_RECONNECT_SECONDS = 0.25
"""Between two tries to connect to the same server."""
_PENDING_BYTES = 64 * 1024 * 1024
"""What the client keeps while it is not connected; over it nothing is sent."""


class NotSent(Exception):
    """Nobody has heard the request."""


class NoAnswer(Exception):
    """The request may have been carried out or not."""


class Refused(Exception):
    """
    The server says no.

    Args:
        code: Its number of the error (`err_code`).
        description: Its words.

    Source: https://github.com/nats-io/nats-server/blob/main/server/errors.json
    """

    def __init__(self, code: int, description: str) -> None:
        super().__init__(f"{description} ({code})")
        self.code, self.description = code, description


def status_of(message: Msg) -> str | None:
    """Return the status of *message*, which has one when it is no record."""
    headers = message.headers or {}
    # whoever published a record may have given it a header of that name
    if "Nats-Sequence" in headers or message.reply.startswith("$JS.ACK."):
        return None
    return headers.get("Status")


def decoded(message: Msg) -> dict[str, Any]:
    """
    Return what an answer of JetStream says.

    Raises:
        Refused: It says no.
    """
    found: dict[str, Any] = json.loads(message.data)
    if error := found.get("error"):
        raise Refused(error.get("err_code", 0), error.get("description", ""))
    return found


class Connection:
    """
    A connection to the cluster. Made by `open`, ended by `close`.

    Concurrency: for the event loop that opened it.
    """

    def __init__(self, options: JetStreamOptions) -> None:
        self._options = options
        self._client = NatsClient()
        self._prefix = self._client.new_inbox()
        self._numbers = itertools.count()
        self._handlers: dict[str, Callable[[Msg], None]] = {}
        self._waiting: set[asyncio.Future[Any]] = set()
        self._opening = asyncio.Lock()
        self._closed = False

    @classmethod
    async def open(cls, options: JetStreamOptions) -> "Connection":
        """
        Connect to one of the servers.

        Raises:
            LogUnreachable: None takes the connection in time.
        """
        self = cls(options)
        try:
            await self._open()
        except NotSent as error:
            raise LogUnreachable(str(error)) from error
        return self

    @property
    def max_payload(self) -> int:
        """Bytes of a message, its headers included, that the server takes."""
        return self._client.max_payload

    async def request(
        self,
        subject: str,
        payload: bytes,
        *,
        within: float,
        headers: Mapping[str, str] | None = None,
    ) -> Msg:
        """
        Send a request and return its answer.

        Raises:
            NotSent: Nobody has heard it.
            NoAnswer: None came *within* so many seconds.
            LogClosed: The connection was closed meanwhile.
        """
        return (await self._exchange(subject, payload, headers, within, single=True))[0]

    async def request_many(
        self, subject: str, body: object, *, within: float
    ) -> list[Msg]:
        """
        Send a request and return its answers before the one with a status.

        Raises:
            NoAnswer: There was no word for *within* seconds; a slow one takes longer.
            NotSent, LogClosed: As `request`.
        """
        payload = json.dumps(body).encode()
        return await self._exchange(subject, payload, None, within, single=False)

    async def ask(
        self, name: str, body: object = None, *, within: float
    ) -> dict[str, Any]:
        """
        Call JetStream's API *name* and return what it says.

        Raises:
            Refused: It says no.
            NotSent, NoAnswer, LogClosed: As `request`.
        """
        payload = b"" if body is None else json.dumps(body).encode()
        return decoded(await self.request(f"$JS.API.{name}", payload, within=within))

    async def publish(
        self,
        subject: str,
        payload: bytes = b"",
        *,
        reply: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """
        Send a message.

        Raises:
            NotSent: The connection is closed, or too much waits for a new one.
        """
        client = await self._living()
        try:
            await client.publish(
                subject, payload, reply, dict(headers) if headers else None
            )
        except errors.Error as error:
            raise NotSent(repr(error)) from error

    @contextlib.asynccontextmanager
    async def subscribed(
        self, take: Callable[[Msg], Awaitable[None]]
    ) -> AsyncIterator[str]:
        """
        Give each message to *take* that comes to the subject of this context.

        Raises:
            NotSent: There is no connection.
        """
        client = await self._living()
        subject = client.new_inbox()
        try:
            subscription = await client.subscribe(subject, cb=take)
        except errors.Error as error:
            raise NotSent(repr(error)) from error
        try:
            yield subject
        finally:
            with contextlib.suppress(errors.Error):
                await subscription.unsubscribe()

    async def close(self) -> None:
        """Send what waits, and end; those that wait for an answer hear LogClosed."""
        self._closed = True
        for future in self._waiting:
            if not future.done():
                future.set_exception(LogClosed("the log was closed"))
        await self._client.close()

    async def _living(self) -> NatsClient:
        """Return the client, another when it gave up: it does at a server's error."""
        if self._closed:
            raise LogClosed("the log was closed")
        if self._client.is_closed:
            async with self._opening:
                if self._client.is_closed:
                    self._client = NatsClient()
                    await self._open()
        return self._client

    async def _open(self) -> None:
        client = self._client
        try:
            async with asyncio.timeout(self._options.timeout):
                await _connect(client, self._options, self._on_reconnected)
                await client.subscribe(f"{self._prefix}.*", cb=self._on_message)
        except (OSError, errors.Error, TimeoutError) as error:
            await client.close()
            reason = client.last_error or error
            raise NotSent(f"no server of NATS answers: {reason!r}") from error
        except asyncio.CancelledError:
            await client.close()  # else it would be taken for one that is connected
            raise

    def _on_reconnected(self) -> None:
        """Let what waits ask again: the server before may never have heard of it."""
        for future in self._waiting:
            if not future.done():
                future.set_exception(NoAnswer("connected to another server meanwhile"))

    async def _exchange(
        self,
        subject: str,
        payload: bytes,
        headers: Mapping[str, str] | None,
        within: float,
        *,
        single: bool,
    ) -> list[Msg]:
        found: list[Msg] = []
        loop = asyncio.get_running_loop()
        end: asyncio.Future[str | None] = loop.create_future()
        heard = loop.time()

        def take(message: Msg) -> None:
            nonlocal heard
            heard, status = loop.time(), status_of(message)
            if single or status is None:
                found.append(message)
            if (single or status is not None) and not end.done():
                end.set_result(status)

        with self._expecting(take, end) as reply:
            await self.publish(subject, payload, reply=reply, headers=headers)
            heard = max(heard, loop.time())
            while not end.done() and (left := heard + within - loop.time()) > 0:
                await asyncio.wait([end], timeout=left)
            if not end.done():
                raise NoAnswer(f"no answer from {subject}")
            status = end.result()
        if status == "503":
            raise NotSent(f"nobody listens at {subject}")
        return found

    @contextlib.contextmanager
    def _expecting(
        self, take: Callable[[Msg], None], end: asyncio.Future[Any]
    ) -> Iterator[str]:
        """Give messages to the subject of this context to *take*."""
        subject = f"{self._prefix}.{next(self._numbers)}"
        self._handlers[subject] = take
        self._waiting.add(end)
        try:
            yield subject
        finally:
            del self._handlers[subject]
            self._waiting.discard(end)
            if not end.cancel() and not end.cancelled():
                end.exception()  # whoever waited may have been cancelled meanwhile

    async def _on_message(self, message: Msg) -> None:
        if handler := self._handlers.get(message.subject):
            handler(message)


async def _connect(
    client: NatsClient, options: JetStreamOptions, reconnected: Callable[[], object]
) -> None:
    told = ""

    async def on_error(error: Exception) -> None:
        nonlocal told
        # each try to connect again has the same to say
        if repr(error) != told:
            _log.warning("nats: %r", error)
        told = repr(error)

    async def on_reconnect() -> None:
        nonlocal told
        told = ""
        _log.info("nats: connected again")
        reconnected()

    await client.connect(
        list(options.servers),
        error_cb=on_error,
        reconnected_cb=on_reconnect,
        name=options.client_name,
        connect_timeout=2,
        reconnect_time_wait=_RECONNECT_SECONDS,  # type: ignore[arg-type] # it sleeps for it
        max_reconnect_attempts=-1,
        ping_interval=options.ping_interval,  # type: ignore[arg-type] # the same
        pending_size=_PENDING_BYTES,
        user=options.user,
        password=options.password,
        token=options.token,
        tls=options.tls,
    )
