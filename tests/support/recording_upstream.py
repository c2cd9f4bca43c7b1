"""
An upstream as bytes on sockets: it keeps what it gets, request by request as a strict
reader sees them, and answers whatever a test wants, garbage included.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

__all__ = ["OK", "RecordingUpstream", "Script", "answer", "recording_upstream"]

Script = Callable[["Peer"], None]
"""What becomes of one connection."""


def answer(body: bytes = b"ok", *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """Return a whole answer with these header lines."""
    lines = [b"HTTP/1.1 " + status, *headers, b"content-length: %d" % len(body)]
    return b"\r\n".join([*lines, b"", b""]) + body


OK = answer()


class Peer:
    """
    One connection of the proxy.

    Attributes:
        sock: The socket.
        number: Which connection it is, from 0.
    """

    def __init__(self, upstream: "RecordingUpstream", sock: socket.socket, number: int):
        self.sock = sock
        self.number = number
        self._upstream = upstream
        self._file = sock.makefile("rb")

    def request(self) -> tuple[bytes, dict[bytes, bytes], bytes] | None:
        """Return line, headers and body of the next request; None at the end."""
        line = self._file.readline()
        if not line:
            return None
        headers: dict[bytes, bytes] = {}
        while (field := self._file.readline().rstrip(b"\r\n")) != b"":
            name, _, value = field.partition(b":")
            key = name.lower()
            headers[key] = headers[key] + b"," + value if key in headers else value
        headers = {key: value.strip() for key, value in headers.items()}
        body = self._body(headers)
        request = (line.strip(), headers, body)
        self._upstream.requests.append(request)
        return request

    def _body(self, headers: dict[bytes, bytes]) -> bytes:
        if b"transfer-encoding" not in headers:
            return self._file.read(int(headers.get(b"content-length", 0)))
        body = b""
        while size := int(self._file.readline(), 16):
            body += self._file.read(size)
            self._file.readline()
        self._file.readline()
        return body

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def await_end(self) -> None:
        """Return when the proxy has closed."""
        with contextlib.suppress(OSError):
            while self.sock.recv(65536):
                continue


class RecordingUpstream:
    """
    Listens on a port of 127.0.0.1.

    Args:
        script: What becomes of each connection; it may raise `OSError`.
        tls: What speaks TLS on it; None speaks none.

    Attributes:
        port: The port.
        requests: Line, headers by lower-case name, and body of what came.
        connections: How many there were.
        ended: Scripts that have come to their end.
    """

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[tuple[bytes, dict[bytes, bytes], bytes]] = []
        self.connections = 0
        self.ended = 0
        self.script = script
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._socket.getsockname()[1]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Close the port and all connections."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._socket.accept()
                number = self.connections
                self.connections += 1
                threading.Thread(
                    target=self._meet, args=(sock, number), daemon=True
                ).start()

    def _meet(self, sock: socket.socket, number: int) -> None:
        if self._tls is not None:
            try:
                sock = self._tls.wrap_socket(sock, server_side=True)
            except OSError:
                sock.close()
                return
        self._serve(Peer(self, sock, number))

    def _serve(self, peer: Peer) -> None:
        self._open.add(peer.sock)
        with contextlib.suppress(OSError, ValueError):
            self.script(peer)
        with contextlib.suppress(OSError):
            peer.sock.shutdown(socket.SHUT_RDWR)
        self._open.discard(peer.sock)
        peer.sock.close()
        self.ended += 1


def always(data: bytes) -> Script:
    """Return the script that answers each request with the same bytes."""

    def script(peer: Peer) -> None:
        while peer.request() is not None:
            peer.send(data)

    return script


@contextlib.contextmanager
def recording_upstream(
    script: Script | bytes = OK, *, tls: ssl.SSLContext | None = None
) -> Iterator[RecordingUpstream]:
    """Run an upstream until the block ends; bytes are what it always answers."""
    upstream = RecordingUpstream(
        always(script) if isinstance(script, bytes) else script, tls
    )
    try:
        yield upstream
    finally:
        upstream.close()
