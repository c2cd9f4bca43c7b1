"""
Raw requests made from a grammar and damaged by chance, many a second from one process.

A batch is a few requests for one connection; batch *n* of a seed is always the same, so
that a failure can be told by its bytes and run again.
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

from typing_extensions import override

__all__ = ["Campaign", "batch", "read_answers"]

METHODS = [b"GET"] * 12 + [
    *(b"POST", b"POST", b"PUT", b"PATCH", b"DELETE", b"HEAD", b"OPTIONS", b"TRACE"),
    *(b"CONNECT", b"PURGE", b"PRI", b"get", b"FOO", b"M-SEARCH", b"QUERY"),
]

TARGETS = [
    *(b"/hello", b"/hello?name=a", b"/", b"/version", b"/echo", b"/livez", b"/readyz"),
    *(b"/tree/a/b", b"/peer", b"/nothing", b"/hello/", b"/openapi.json", b"/docs"),
    *(b"*", b"//hello", b"/./hello", b"/../x", b"/tree/%2e%2e", b"/tree/%2f%00%ff"),
    *(b"http://localhost/hello", b"http://[::1]:80/hello", b"x:1", b"/tree/%zz"),
    *(b"/delay/0", b"/delay/nan", b"/latency", b"/user/login", b"/hello?%ff=%00&&=="),
]

VERSIONS = [b"HTTP/1.1"] * 20 + [
    b"HTTP/1.0",
    b"HTTP/0.9",
    b"HTTP/2.0",
    b"HTTP/1.2",
    b"",
]

HEADERS = [
    *(b"Accept: */*", b"Accept: text/html", b"Connection: keep-alive", b"Cookie: a=b"),
    *(b"X-Request-Id: abc", b"X-Request-Id: a b", b"Authorization: Bearer x.y.z"),
    *(b"X-Forwarded-For: 8.8.8.8, x", b"X-Forwarded-Proto: https", b"Range: bytes=9-"),
    *(b"Accept-Encoding: gzip", b"Origin: http://a.example", b"If-None-Match: *"),
    *(b"Content-Type: text/plain", b"Accept-Language: \x80", b"A:", b"TE: trailers"),
]

ODD_HEADERS = [
    *(b"Expect: 100-continue", b"Upgrade: h2c", b"Content-Encoding: gzip", b" A: b"),
    *(b"Connection: Upgrade\r\nUpgrade: websocket", b"Host: a@b", b"Accept: \xff"),
    *(b"Content-Type: multipart/form-data; boundary=x", b"Connection: close", b"Host:"),
    *(b"Content-Length: 0", b"Transfer-Encoding: chunked", b"Content-Length: +1"),
    *(b"Connection: Upgrade\r\nUpgrade: h2c", b"Content-Type: application/json"),
]

BODIES = [
    *(b"", b"hello", b'{"a": 1}', b"[1e999]", b'"\\ud800"', b"\xff\xfe", b"a=b&c=%ff"),
    b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n',
    b'{"username": "a", "password": "b"}',
]

POST_TARGETS = [
    *(b"/echo", b"/json", b"/body", b"/small", b"/unread", b"/user/login"),
    *(b"/typed/model", b"/typed/json", b"/typed/any", b"/hello", b"/nothing"),
]

SPLICES = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\x00",
        b" ",
        b"\t",
        b":",
        b"\xff",
        b"%",
        b"%00",
        b"\x0b",
    ),
    *(
        b"0",
        b"-1",
        b"ffffffffffffffff",
        b"18446744073709551617",
        b";",
        b",",
        b"chunked",
    ),
    *(b"Host: b\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(
        b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"a" * 9000,
    ),
]

LAST = b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def batch(seed: int, number: int) -> bytes:
    """
    Return the bytes of one connection: some requests of which a damaged one may end the
    connection, and a last one that does.
    """
    draw = random.Random(f"{seed}/{number}")
    made = [_request(draw) for _ in range(draw.randint(1, 10))]
    made += [_odd_request(draw) for _ in range(draw.randint(0, 2))]
    made += [_damaged(draw, _request(draw)) for _ in range(draw.randint(1, 3))]
    return b"".join(made) + LAST


def _request(draw: random.Random) -> bytes:
    """Return a well-formed request of the grammar."""
    if draw.random() < 0.3:
        return _with_body(draw)
    line = b"GET %b HTTP/1.1" % draw.choice(TARGETS[:13])
    headers = draw.sample(HEADERS, draw.randint(0, 4))
    return b"\r\n".join([line, b"Host: localhost", *headers, b"", b""])


def _odd_request(draw: random.Random) -> bytes:
    """Return a request of odd parts, each of which the grammar knows."""
    parts = (draw.choice(METHODS), draw.choice(TARGETS), draw.choice(VERSIONS))
    headers = draw.sample(HEADERS + ODD_HEADERS, draw.randint(0, 4))
    return b"\r\n".join([b"%b %b %b" % parts, b"Host: localhost", *headers, b"", b""])


def _with_body(draw: random.Random) -> bytes:
    body = draw.choice(BODIES)
    line = b"POST %b HTTP/1.1\r\nHost: localhost\r\n" % draw.choice(POST_TARGETS)
    if draw.random() < 0.5:
        line += b"Content-Type: application/json\r\n"
    if draw.random() < 0.5:
        return b"%bContent-Length: %d\r\n\r\n%b" % (line, len(body), body)
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return line + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n"


def _damaged(draw: random.Random, data: bytes) -> bytes:
    """Return *data* with one to three bytes or pieces changed, cut out or put in."""
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(data) + 1)
        kind = draw.random()
        if kind < 0.35:
            data = data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :]
        elif kind < 0.7:
            data = data[:at] + draw.choice(SPLICES) + data[at:]
        elif kind < 0.85:
            data = data[:at] + data[at + draw.randint(1, 20) :]
        else:
            start = draw.randrange(len(data) + 1)
            data = data[:at] + data[start : start + draw.randint(1, 60)] + data[at:]
    return data


def read_answers(data: bytes) -> tuple[list[int], bytes]:
    """
    Return the statuses of the whole answers of *data*, and what is left.

    An answer to HEAD says a length and has no body: the next answer, or the end,
    follows its head at once. No body of the service begins like an answer.

    Raises:
        ValueError: Something is there that is no answer, or follows the last one.
    """
    statuses: list[int] = []
    before = at = 0
    while True:
        end = data.find(b"\r\n\r\n", at)
        if end < 0:
            return statuses, data[at:]
        if data[at : at + 9] != b"HTTP/1.1 ":
            raise ValueError(data[at : at + 200])
        status = int(data[at + 9 : at + 12])
        if statuses and data.find(b"\r\nconnection: close\r\n", before, at) >= 0:
            raise ValueError(b"after the end: " + data[at : at + 200])
        found = data.find(b"\r\ncontent-length: ", at, end + 2)
        body = end + 4
        if found >= 0 and data[body : body + 9] != b"HTTP/1.1 ":
            stop = data.find(b"\r\n", found + 18)
            body += int(data[found + 18 : stop])
        if body > len(data):
            return statuses, data[at:]
        statuses.append(status)
        before, at = at, body


@dataclass
class Campaign:
    """
    A run of the fuzzer against a port.

    Args:
        port: Where.
        seed: Which requests.
        connections: How many are open at once.
        limit: Seconds in which the service must have ended a connection; some requests
            announce a body that never comes, so its time-outs must be short.

    Attributes:
        statuses: How many answers there were, by status; 1xx are none.
        sent: Batches sent, each on a connection of its own.
        failures: What must not be: the bytes sent, and why.
    """

    port: int
    seed: int
    connections: int = 256
    limit: float = 60.0
    statuses: Counter[int] = field(default_factory=Counter)
    sent: int = 0
    failures: list[tuple[str, bytes]] = field(default_factory=list)

    async def run(self, answers: int) -> None:
        """Send batches until there were so many *answers* or something failed."""
        await asyncio.gather(*(self._work(answers) for _ in range(self.connections)))

    @property
    def answered(self) -> int:
        """Answers so far."""
        return self.statuses.total()

    async def _work(self, answers: int) -> None:
        loop = asyncio.get_running_loop()
        while self.answered < answers and len(self.failures) < 20:
            number, self.sent = self.sent, self.sent + 1
            data = batch(self.seed, number)
            done = loop.create_future()
            try:
                transport, client = await loop.create_connection(
                    lambda data=data, done=done: _Client(data, done),
                    "127.0.0.1",
                    self.port,
                )
            except OSError as error:
                self.failures.append((f"no connection: {error!r}", data))
                return
            await asyncio.wait([done], timeout=self.limit)
            if not done.done():
                self.failures.append((f"still open: {client.received[-200:]!r}", data))
            transport.abort()
            self._judge(client, data)

    def _judge(self, client: "_Client", data: bytes) -> None:
        try:
            statuses, rest = read_answers(bytes(client.received))
        except ValueError as error:
            self.failures.append((f"no answer: {error}", data))
            return
        final = [status for status in statuses if status >= 200]
        self.statuses.update(final)
        bad = [each for each in final if each >= 500 and each not in (501, 505)]
        if bad:
            self.failures.append((f"{bad} of {final}", data))
        if rest and client.ended and b"HEAD" not in data and not client.lost:
            self.failures.append((f"half an answer: {rest[:200]!r}", data))


class _Client(asyncio.Protocol):
    """Sends its bytes and keeps what comes."""

    def __init__(self, data: bytes, done: "asyncio.Future[None]") -> None:
        self.received = bytearray()
        self.ended = False
        self.lost = False
        self._data = data
        self._done = done

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self._data)

    @override
    def data_received(self, data: bytes) -> None:
        self.received += data

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.lost = exc is not None
        if not self._done.done():
            self._done.set_result(None)
