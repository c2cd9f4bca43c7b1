"""Health by HTTP: a GET that is answered with less than 400, as the kubelet has it."""

import asyncio
from http import HTTPStatus

from httptools import HttpResponseParser

from service.discovery.health import Probe
from service.discovery.model import Endpoint

__all__ = ["answers"]

_PIECE = 4096


def answers(path: str) -> Probe:
    """
    Return the probe that GETs *path*.

    Each check connects anew, because a connection that was kept says nothing about a
    listener, and reads no further than the head of the answer: which is why it needs
    no client with its pool.

    Args:
        path: With its leading slash.
    """

    async def probe(endpoint: Endpoint) -> bool:
        reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
        try:
            writer.write(_request(path, endpoint))
            return await _status(reader) < HTTPStatus.BAD_REQUEST
        finally:
            writer.close()

    return probe


def _request(path: str, endpoint: Endpoint) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nhost: {endpoint}\r\nuser-agent: httpserver-health\r\n"
        "accept: */*\r\nconnection: close\r\n\r\n"
    ).encode()


async def _status(reader: asyncio.StreamReader) -> int:
    """
    Return the status of the answer.

    Raises:
        HttpParserError: It is none.
        ConnectionError: There was no answer.
    """
    head = _Head()
    parser = HttpResponseParser(head)
    while not head.complete:
        piece = await reader.read(_PIECE)
        if not piece:
            raise ConnectionError("no answer")
        parser.feed_data(piece)
    return int(parser.get_status_code())


class _Head:
    complete = False

    def on_headers_complete(self) -> None:
        """Take the end of the head."""
        self.complete = True
