"""
Heads of answers, as bytes for the wire.

Made once for every answer, so it does as little as it can: one look-up per header tells
the few that decide about framing from all others, and one count over the finished head
proves that no value has smuggled in a line of its own.

Source: RFC 9112 §6 (framing), RFC 9110 §5.5 (field values).
"""

import http
import re
from collections.abc import Iterable
from email.utils import formatdate
from typing import NamedTuple

__all__ = ["BadHeader", "FixedHeaders", "Head", "HeadWriter", "finished"]

_ORDINARY, _LENGTH, _CODING, _CONNECTION, _DATE = range(5)

_KINDS = {
    b"content-length": _LENGTH,
    b"transfer-encoding": _CODING,
    b"connection": _CONNECTION,
    b"date": _DATE,
}

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_UNSAFE = re.compile(rb"[\r\n\0]")

_REMEMBERED = 1024
"""Header names that are remembered as good; a service has some dozens."""


_STATUS_LINES = {status: b"HTTP/1.1 %d " % status for status in range(100, 1000)} | {
    each.value: f"HTTP/1.1 {each.value} {each.phrase}".encode("ascii")
    for each in http.HTTPStatus
}


class BadHeader(ValueError):
    """A header that no head can hold."""


class FixedHeaders:
    """
    Headers that are the same on every answer, made ready for the wire once.

    Args:
        pairs: Names in lower case, and values.

    Attributes:
        pairs: The same.
        names: Their names.
        block: Their lines, each behind the end of the one before it.

    Raises:
        BadHeader: A header that no head can hold.
    """

    __slots__ = ("block", "names", "pairs")

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self.pairs = list(pairs)
        self.names = frozenset(name for name, _ in self.pairs)
        lines = [b": ".join(pair) for pair in self.pairs]
        self.block = b"".join(b"\r\n" + line for line in lines)
        if any(_UNSAFE.search(line) for line in lines):
            raise BadHeader("a header value holds CR, LF or NUL")


class Head(NamedTuple):
    """
    What the headers of an answer say about its framing.

    Attributes:
        lines: Lines of the head so far, without their ends.
        length: Announced bytes of the body; None when not announced.
        close: Whether the answer asks to end the connection.
        block: Lines that are known to be safe, each behind a line end.
    """

    lines: list[bytes]
    length: int | None
    close: bool
    block: bytes


class HeadWriter:
    """
    Makes heads for the answers of one server.

    Attributes:
        date: The `date` line; `tick` makes it anew each second.

    Concurrency:
        For one event loop.
    """

    def __init__(self) -> None:
        self._kinds = dict(_KINDS)
        self.date = b""
        self.tick(0.0)

    def tick(self, now: float) -> None:
        """Take the time from *now*, in seconds since the epoch."""
        self.date = b"date: " + formatdate(now or None, usegmt=True).encode("ascii")

    def head(
        self,
        status: int,
        headers: Iterable[tuple[bytes, bytes]],
        fixed: FixedHeaders | None = None,
    ) -> Head:
        """
        Return the lines of a head and what they say.

        Framing is the listener's business: `transfer-encoding` and `connection` of the
        application are read and left out.

        Args:
            status: Status of the answer.
            headers: Names and values.
            fixed: Headers that are ready.

        Raises:
            BadHeader: A name is no token, or the length no number.
        """
        lines = [_STATUS_LINES[status], self.date]
        length: int | None = None
        close = False
        kinds = self._kinds
        for pair in headers:
            kind = kinds.get(pair[0])
            if kind is None:
                kind = self._learned(pair[0])
            if kind == _ORDINARY:
                lines.append(b": ".join(pair))
            elif kind == _LENGTH:
                length = _number(pair[1])
            elif kind == _CONNECTION:
                close = close or b"close" in pair[1].lower()
            elif kind == _DATE:
                lines[1] = b": ".join(pair)
        # a third of what Head(…) takes
        block = b"" if fixed is None else fixed.block
        return tuple.__new__(Head, (lines, length, close, block))

    def _learned(self, name: bytes) -> int:
        """Return the kind of a name that is new."""
        if not _TOKEN.fullmatch(name):
            raise BadHeader("a header name is no token")
        kind = _KINDS.get(name.lower(), _ORDINARY)
        if len(self._kinds) < _REMEMBERED:
            self._kinds[name] = kind
        return kind


def finished(lines: list[bytes], block: bytes = b"", body: bytes = b"") -> bytes:
    """
    Return the head that *lines* make, with what follows it.

    Args:
        lines: Without their ends.
        block: Lines that are known to be safe, each behind a line end.
        body: What follows.

    Raises:
        BadHeader: A value holds CR, LF or NUL.
    """
    ends = len(lines) - 1
    head = b"\r\n".join(lines)
    if head.count(b"\n") != ends or head.count(b"\r") != ends or b"\0" in head:
        raise BadHeader("a header value holds CR, LF or NUL")
    return b"".join((head, block, b"\r\n\r\n", body))


def _number(value: bytes) -> int:
    if not value.isdigit():
        raise BadHeader("content-length is no number")
    return int(value)
