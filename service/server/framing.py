"""
Where the body of an answer ends: by its length, in chunks, or with the connection.

Source: RFC 9112 §6, RFC 9110 §8.6 and §15.
"""

__all__ = ["NOT_MODIFIED", "NO_CONTENT", "Framing"]

NO_CONTENT = 204
NOT_MODIFIED = 304

_CHUNKED = b"transfer-encoding: chunked"


class Framing:
    """
    The body of one answer as it goes on the wire, piece by piece.

    Args:
        status: Status of the answer.
        length: Bytes of the body; None when it is not known.
        method: Of the request: HEAD gets a head alone.
        version: Of the request: 1.0 knows no chunks.

    Attributes:
        line: The line of the head that says so; empty for none.
        closes: Whether the end of the connection is the end of the body.
    """

    __slots__ = ("_chunked", "_left", "_mute", "closes", "line")

    def __init__(
        self, status: int, length: int | None, *, method: str, version: str
    ) -> None:
        self._left = length
        self._chunked = self._mute = self.closes = False
        self.line = b""
        if status == NO_CONTENT or (status == NOT_MODIFIED and not length):
            self._left, self._mute = 0, True
        elif length is not None:
            self.line = b"content-length: %d" % length
        elif version == "1.1":
            self._chunked, self.line = True, _CHUNKED
        else:
            self.closes = True
        if method == "HEAD" or status == NOT_MODIFIED:
            self._left, self._chunked, self._mute = 0, False, True

    def piece(self, body: bytes, *, more: bool) -> bytes:
        """
        Return *body* as it goes on the wire.

        Args:
            body: The next piece.
            more: Whether others follow.

        Raises:
            RuntimeError: The body is longer than announced.
        """
        if self._mute:
            return b""
        if self._chunked:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            return chunk if more else chunk + b"0\r\n\r\n"
        if self._left is not None:
            self._left -= len(body)
            if self._left < 0:
                raise RuntimeError("the body is longer than announced")
        return body

    def check_end(self) -> None:
        """
        Note that the last piece was given.

        Raises:
            RuntimeError: The body is shorter than announced.
        """
        if self._left:
            raise RuntimeError("the body is shorter than announced")
