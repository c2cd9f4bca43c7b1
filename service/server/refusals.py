"""
Answers to requests that never become one: malformed, too large, too slow, too many.

The listener writes them itself, before any application code runs, and then ends the
connection: what follows a request that can't be read can't be trusted either.
"""

import json
from http import HTTPStatus

__all__ = ["Refusal"]


class Refusal(Exception):
    """
    A request that the listener refuses.

    Args:
        status: What is answered.
        reason: Name in the metric, such as `header_timeout`.
        detail: One sentence for the client, without an echo of what it sent.
        headers: Further header lines, each as it goes on the wire.
    """

    def __init__(self, status: int, reason: str, detail: str, *headers: bytes) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = headers

    def answer(self) -> bytes:
        """Return the whole answer as it goes on the wire."""
        title = HTTPStatus(self.status).phrase
        document = {
            "type": "about:blank",
            "title": title,
            "status": self.status,
            "detail": self.detail,
        }
        body = json.dumps(document, separators=(",", ":")).encode()
        lines = (
            b"HTTP/1.1 %d %b" % (self.status, title.encode()),
            b"content-type: application/problem+json",
            b"content-length: %d" % len(body),
            b"connection: close",
            *self.headers,
            b"",
            body,
        )
        return b"\r\n".join(lines)
