"""
A small API server of EndpointSlices over real HTTP: lists and watches as the real one
does, and misbehaves when the test says so.
"""

import contextlib
import json
import queue
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["ApiServer", "api_server", "slice_of"]

LIMIT = 60.0
END = object()


def slice_of(
    service: str, name: str, *hosts: str, kind: str = "IPv4", **fields: Any
) -> dict[str, Any]:
    """Return an EndpointSlice of ready pods with one port."""
    entries = [{"addresses": [h], "conditions": {"ready": True}} for h in hosts]
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
        "addressType": kind,
        "endpoints": entries,
        "ports": [{"name": "http", "port": 8080}],
        **fields,
    }


class ApiServer:
    """
    Serves slices by name.

    Attributes:
        requests: Queries of the requests so far, as dicts.
        refuse: Status that every request gets, when it is set.
        watches: Streams that are open.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.slices: dict[str, dict[str, Any]] = {}
        self.version = 100
        self.requests: list[dict[str, str]] = []
        self.refuse = 0
        self.gone = False
        self._streams: list[queue.Queue[Any]] = []
        self._events: list[tuple[int, bytes]] = []
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        scheme = "http" if tls is None else "https"
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self.url = f"{scheme}://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.05,)).start()

    @property
    def watches(self) -> int:
        return len(self._streams)

    @property
    def lists(self) -> int:
        return sum("watch" not in each for each in self.requests)

    def await_watch(self, more_than: int = 0) -> None:
        """Wait until as many watches were asked for, and one is open."""
        end = time.monotonic() + LIMIT
        while not (
            self._streams and sum("watch" in each for each in self.requests) > more_than
        ):
            assert time.monotonic() < end, "nobody watches"
            time.sleep(0.01)

    def put(self, piece: dict[str, Any], *, tell: bool = True) -> None:
        """Add or replace a slice."""
        name = piece["metadata"]["name"]
        kind = "MODIFIED" if name in self.slices else "ADDED"
        self.slices[name] = piece
        self._changed(kind, piece, tell=tell)

    def delete(self, name: str, *, tell: bool = True) -> None:
        self._changed("DELETED", self.slices.pop(name), tell=tell)

    def bookmark(self) -> None:
        self.version += 50
        document = {"metadata": {"resourceVersion": str(self.version)}}
        self.send({"type": "BOOKMARK", "object": document})

    def error(self, code: int, reason: str) -> None:
        """Send an ERROR event, as a 410 within a stream comes."""
        status = {"kind": "Status", "code": code, "reason": reason, "message": reason}
        self.send({"type": "ERROR", "object": status})

    def send(self, event: Any) -> None:
        """Send an event, or bytes as they are, to every watch."""
        piece = event if isinstance(event, bytes) else _line(event)
        for each in list(self._streams):
            each.put(piece)

    def end(self) -> None:
        """End every watch as the real one does after its time."""
        self._leave(END)

    def tear(self) -> None:
        """Cut the connection of every watch in the middle."""
        self._leave(None)

    def stop(self) -> None:
        self.tear()
        self._http.shutdown()
        self._http.server_close()

    def _leave(self, last: object) -> None:
        """Send the last piece to every watch; those that come now are others."""
        with self._lock:
            ended, self._streams = self._streams, []
        for each in ended:
            each.put(last)

    def _changed(self, kind: str, piece: dict[str, Any], *, tell: bool) -> None:
        self.version += 1
        piece["metadata"]["resourceVersion"] = str(self.version)
        if tell:
            event = _line({"type": kind, "object": piece})
            with self._lock:
                self._events.append((self.version, event))
                for each in self._streams:
                    each.put(event)

    def open(self, version: int) -> queue.Queue[Any]:
        """Return a stream of the events after a version, those that were too."""
        pieces: queue.Queue[Any] = queue.Queue()
        with self._lock:
            for number, event in self._events:
                if number > version:
                    pieces.put(event)
            self._streams.append(pieces)
        return pieces

    def forget(self, pieces: queue.Queue[Any]) -> None:
        """Take away a stream that has ended by itself."""
        with self._lock, contextlib.suppress(ValueError):
            self._streams.remove(pieces)

    def document(self) -> dict[str, Any]:
        version = {"resourceVersion": str(self.version)}
        return {"metadata": version, "items": list(self.slices.values())}


def _line(document: Any) -> bytes:
    return json.dumps(document).encode() + b"\n"


def _handler(server: ApiServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_arguments):
            pass

        def do_GET(self):
            parts = urlsplit(self.path)
            query = {k: v[0] for k, v in parse_qs(parts.query).items()}
            server.requests.append({"path": parts.path, **query})
            if server.refuse:
                self._answer(server.refuse, {"message": "refused"})
            elif "watch" not in query:
                self._answer(200, server.document())
            elif server.gone:
                server.gone = False
                self._answer(410, {"message": "too old"})
            else:
                self._stream(query)

        def _answer(self, status, document):
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _stream(self, query):
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.flush()
            pieces = server.open(int(query["resourceVersion"]))
            with contextlib.suppress(OSError):
                while (piece := pieces.get()) is not None:
                    if piece is END:
                        self.wfile.write(b"0\r\n\r\n")
                        break
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            server.forget(pieces)
            self.close_connection = True

    return Handler


@contextlib.contextmanager
def api_server(
    folder: Path, *, tls: ssl.SSLContext | None = None, trusted: Path | None = None
) -> Iterator[tuple[ApiServer, Path]]:
    """Run one until the block ends; give it and a kubeconfig that leads to it."""
    server = ApiServer(tls)
    config = folder / "kubeconfig"
    cluster = {"server": server.url}
    if trusted is not None:
        cluster["certificate-authority"] = str(trusted)
    named = [("clusters", "cluster", cluster), ("users", "user", {})]
    config.write_text(
        json.dumps(
            {
                "current-context": "test",
                "contexts": [
                    {
                        "name": "test",
                        "context": {
                            "cluster": "test",
                            "user": "test",
                            "namespace": "shops",
                        },
                    }
                ],
                **{many: [{"name": "test", one: v}] for many, one, v in named},
            }
        )
    )
    try:
        yield server, config
    finally:
        server.stop()
