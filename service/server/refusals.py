"""
Answers to requests that never become one: malformed, too large, too slow, too many.

The listener writes them itself, before any application code runs, and then ends the
connection: what follows a request that can't be read can't be trusted either.
"""

from service.errors import RequestError
from service.server.responses import PROBLEM_JSON, problem, status_phrase

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

    def answer(self, *, bodiless: bool = False) -> bytes:
        """
        Return the whole answer as it goes on the wire.

        Args:
            bodiless: Whether it answers HEAD, which gets the length of the body alone.
        """
        body = problem(RequestError(self.detail, status=self.status)).body
        lines = (
            b"HTTP/1.1 %d %b" % (self.status, status_phrase(self.status).encode()),
            b"content-type: %b" % PROBLEM_JSON.encode(),
            b"content-length: %d" % len(body),
            b"connection: close",
            *self.headers,
            b"",
            b"" if bodiless else body,
        )
        return b"\r\n".join(lines)
