"""
One list-and-watch of the EndpointSlices of a namespace, on a thread of its own.

List, then watch from there; every event and bookmark moves the place from which the
next watch goes on. A stream that ends or tears is resumed there; when the server has
forgotten that place (410), everything is listed anew, and what went meanwhile is gone.
When the API server is away the waits between attempts grow, spread by chance, and
nobody is told that anything went.

The server ends each watch after a minute, and silence for longer means that the
connection is dead: no firewall that forgets a connection leaves us with old news for
longer than that.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/ ("Efficient
detection of changes").
"""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from service.concurrency.future import Future
from service.resilience.backoff import Backoff

__all__ = ["Gone", "SliceApi", "SliceListener", "SliceWatch", "Stream"]

WATCH_SECONDS = 60
"""Seconds after which the server ends a watch, at most."""

SILENCE_SECONDS = 15.0
"""Seconds of silence after that, until the connection is taken for dead."""

_PAUSE = 0.2
"""Seconds between a stream that told something and the next: a server that ends each
at once must not be asked without a pause."""


_ENOUGH = 3
"""Failures in a row after which everything is listed anew."""


class Gone(Exception):
    """The server no longer knows the place to go on from (410)."""


class Stream(Protocol):
    """The lines of a watch, as they come."""

    def lines(self) -> Iterator[bytes]:
        """Yield each line; raise when the connection is lost or silent."""

    def close(self) -> None:
        """End it, from any thread, at once."""


class SliceApi(Protocol):
    """What is asked of the API server; every method may raise whatever went wrong."""

    def list(self) -> Mapping[str, Any]:
        """Return the EndpointSliceList."""

    def watch(self, version: str, *, seconds: int, silence: float) -> Stream:
        """
        Begin to watch.

        Args:
            version: Resource version to go on from.
            seconds: Time after which the server ends it.
            silence: Seconds without a byte that are the end of it.

        Raises:
            Gone: The server can't go on from there.
        """


class SliceListener(Protocol):
    """Is told what is known, on the thread of the watch."""

    def heard(self, slices: Mapping[str, Mapping[str, Any]]) -> None:
        """Take all slices by name, after each list, event and stream."""

    def failed(self, error: Exception) -> None:
        """Note an attempt that failed."""


class SliceWatch:
    """
    Keeps the slices of one namespace.

    Args:
        api: The API server; called when the thread starts, and again until it gives
            one, because it reads credentials that may not be there yet.
        listener: Is told.
        name: Of the thread.
        backoff: Waits after failures.

    Attributes:
        first: Comes when something was heard or failed.

    Concurrency:
        `start` and `stop` once each, on any thread.
    """

    def __init__(
        self,
        api: Callable[[], SliceApi],
        listener: SliceListener,
        *,
        name: str,
        backoff: Backoff | None = None,
    ) -> None:
        self._connect = api
        self._listener = listener
        self._backoff = backoff or Backoff(first=0.5, most=15.0, jitter="decorrelated")
        self._slices: dict[str, Mapping[str, Any]] = {}
        self._version = ""
        self._stopping = threading.Event()
        self.first = Future[None]()
        self._stream: Stream | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, *, within: float = 2.0) -> None:
        """
        End it.

        Args:
            within: Seconds to wait for the thread; one that hangs in a connection that
                can't be cut ends with the process.
        """
        self._stopping.set()
        stream = self._stream
        if stream is not None:
            stream.close()
        self._thread.join(within)

    def _run(self) -> None:
        api: SliceApi | None = None
        waits = self._backoff.waits()
        failures = 0
        while not self._stopping.is_set():
            try:
                api = api or self._connect()
                told = self._once(api)
            except Exception as error:  # noqa: BLE001 - whatever it is, it may pass
                if self._stopping.is_set():
                    return
                failures += 1
                wait = next(waits)
                if isinstance(error, Gone):
                    self._version = ""
                    if failures == 1:  # nothing is wrong: list at once
                        continue
                self._listener.failed(error)
                self._came()
                # the place to go on from, or the credentials, may be what is wrong
                api = None
                if failures >= _ENOUGH:
                    self._version = ""
            else:
                failures = 0
                if told:
                    waits = self._backoff.waits()
                wait = _PAUSE if told else next(waits)
            self._stopping.wait(wait)

    def _once(self, api: SliceApi) -> bool:
        """
        List if there is no place to go on from, and watch one stream to its end.

        Returns:
            Whether it was of use: it told something, or lasted.
        """
        if not self._version:
            self._take_list(api.list())
        seconds = int(WATCH_SECONDS * random.uniform(0.8, 1.0))  # noqa: S311 - spreads load
        began, lines = time.monotonic(), 0
        stream = api.watch(
            self._version, seconds=seconds, silence=seconds + SILENCE_SECONDS
        )
        self._stream = stream
        try:
            if not self._stopping.is_set():
                for line in stream.lines():
                    lines += 1
                    self._take_line(line)
        finally:
            self._stream = None
            stream.close()
        self._listener.heard(self._slices)
        return lines > 0 or time.monotonic() - began > 1

    def _take_list(self, document: Mapping[str, Any]) -> None:
        items = document["items"] or ()
        self._slices = {each["metadata"]["name"]: each for each in items}
        self._version = str(document["metadata"]["resourceVersion"])
        self._listener.heard(self._slices)
        self._came()

    def _came(self) -> None:
        if not self.first.done:
            self.first.set_result(None)

    def _take_line(self, line: bytes) -> None:
        """
        Take one event.

        Raises:
            Gone: It says that the place is lost.
            ValueError: It is no event, as when the connection tore within it; the
                stream is given up, and resumed behind the last good one.
        """
        if not line.strip():
            return
        event = json.loads(line)
        try:
            kind, piece = event["type"], event["object"]
            if kind == "ERROR":
                _raise(piece)
            name = piece["metadata"].get("name")
            version = str(piece["metadata"]["resourceVersion"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no event of a watch: {line[:100]!r}") from error
        if kind in ("ADDED", "MODIFIED"):
            self._slices = {**self._slices, name: piece}
        elif kind == "DELETED":
            self._slices = {k: v for k, v in self._slices.items() if k != name}
        self._version = version
        self._listener.heard(self._slices)


def _raise(status: Mapping[str, Any]) -> None:
    if status.get("code") == 410 or status.get("reason") == "Expired":  # noqa: PLR2004 - Gone
        raise Gone(str(status.get("message")))
    raise ValueError(f"the watch ended: {status.get('message') or status}")
