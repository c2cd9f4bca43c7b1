"""
The ports of a server: bound before anything listens, so that a worker process can
inherit them and a port that is taken ends the start at once.
"""

import socket
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from service.errors import StartError

__all__ = ["Endpoint", "Ports"]


class Endpoint(NamedTuple):
    """Where a server listens."""

    server: str
    host: str
    port: int


class Ports:
    """
    Plain and TLS ports of one server.

    Args:
        name: Name of the server in logs and errors.
        host: Address, IPv4 or IPv6.
        plain: Ports; 0 takes a free one.
        tls: Ports that speak TLS.

    Attributes:
        name: Name of the server.
        plain: Bound sockets; empty before `bind`.
        tls: Bound sockets that speak TLS.
    """

    def __init__(
        self,
        name: str,
        host: str = "127.0.0.1",
        plain: Iterable[int] = (0,),
        tls: Iterable[int] = (),
    ) -> None:
        self.name = name
        self._host = host
        self._wanted = (tuple(plain), tuple(tls))
        self.plain: list[socket.socket] = []
        self.tls: list[socket.socket] = []

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where they are; the name of TLS ports ends in `-tls`."""
        named = ((self.name, self.plain), (f"{self.name}-tls", self.tls))
        return [
            Endpoint(name, *each.getsockname()[:2])
            for name, sockets in named
            for each in sockets
        ]

    def bind(self) -> None:
        """
        Take the ports, unless they are taken or inherited already.

        Raises:
            StartError: A port is in use or may not be taken; the text names it.
        """
        if self.plain or self.tls:
            return
        plain, tls = self._wanted
        try:
            self._take(plain, self.plain)
            self._take(tls, self.tls)
        except StartError:
            self.close()
            raise

    def inherit(self, plain: Sequence[int], tls: Sequence[int]) -> None:
        """Use bound sockets of a parent process, by their file descriptors."""
        self.plain = [socket.socket(fileno=each) for each in plain]
        self.tls = [socket.socket(fileno=each) for each in tls]

    def close(self) -> None:
        """Let go of the ports."""
        for each in (*self.plain, *self.tls):
            each.close()

    def _take(self, ports: Iterable[int], into: list[socket.socket]) -> None:
        for port in ports:
            try:
                into.append(_bound(self._host, port))
            except OSError as error:
                reason = error.strerror or str(error)
                msg = f"{self.name}: can't listen on {self._host}:{port}: {reason}"
                raise StartError(msg) from error


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock
