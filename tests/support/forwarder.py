"""A way to a server that a test can cut or block, as a network does."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator

from tests.support.waiting import until

__all__ = ["Forwarder", "forwarder"]


class Forwarder:
    """
    Passes TCP connections on to a server.

    Attributes:
        port: Where it listens on 127.0.0.1.
        cut: While set, connections are closed and no new ones are let in.
        blocked: While set, nothing is passed on and nobody is told.
        most: Bytes, both ways together, after which it blocks; never without.
        passed: Bytes that it has passed on, both ways together.
    """

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self.cut = threading.Event()
        self.blocked = threading.Event()
        self.most: int | None = None
        self.passed = 0
        self._ended = threading.Event()
        self._ways = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()
        self._listener.close()

    def tear(self) -> None:
        """Cut what is connected now; whoever comes afterwards is let in."""
        self.cut.set()
        self.blocked.clear()
        until(lambda: self._ways == 0)
        self.cut.clear()

    def _accept(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                near, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(near,)).start()

    def _serve(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError):
            if self.cut.is_set():
                return
            with self._counted(), socket.create_connection(self._to) as far:
                self._pass_on(near, far)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._ways += 1
        try:
            yield
        finally:
            with self._lock:
                self._ways -= 1

    def _pass_on(self, near: socket.socket, far: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(near, selectors.EVENT_READ, far)
            selector.register(far, selectors.EVENT_READ, near)
            while not (self._ended.is_set() or self.cut.is_set()):
                if self.blocked.is_set():
                    self._ended.wait(0.05)
                    continue
                for key, _ in selector.select(0.05):
                    piece = key.fileobj.recv(65536)
                    if not piece:
                        return
                    key.data.sendall(piece)
                    self._count(len(piece))

    def _count(self, size: int) -> None:
        self.passed += size
        if self.most is not None and self.passed >= self.most:
            self.most = None
            self.blocked.set()


@contextlib.contextmanager
def forwarder(host: str, port: int) -> Iterator[Forwarder]:
    """Run one until the block ends."""
    found = Forwarder(host, port)
    try:
        yield found
    finally:
        found.stop()
