"""
The head of an upstream's answer: whether it can be passed on, and how its body ends.

Source: RFC 9112 §6.3 (length of a body), §11.2 (splitting).
"""

import re
from typing import NamedTuple

from service.proxy.failures import BadAnswer

__all__ = ["SWITCHING", "AnswerHead", "answer_head"]

SWITCHING = 101
"""The status after which a connection is no HTTP."""

_UNSAFE = re.compile(rb"[\r\n\0]")
_BODILESS = frozenset({204, 304})
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class AnswerHead(NamedTuple):
    """
    The head of an answer.

    Attributes:
        status: 200 to 999, or 101.
        headers: Names in lower case, and values, as they came.
        length: Announced bytes of body, None when they are not.
        until_close: Whether the body ends where the connection does.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    length: int | None
    until_close: bool


def answer_head(
    status: int, headers: list[tuple[bytes, bytes]], *, switches: bool
) -> AnswerHead:
    """
    Return the head of an answer that was read.

    Args:
        status: Its status.
        headers: Names in lower case, and values.
        switches: Whether the answer may be 101.

    Raises:
        BadAnswer: It can't be passed on, or says two things about its length.
    """
    if status == SWITCHING and not switches:
        raise BadAnswer("a switch that nobody asked for")
    framing = [pair for pair in headers if pair[0] in _FRAMING]
    if len(framing) > 1:
        raise BadAnswer("more than one length")
    length = None
    for name, value in framing:
        if name == b"content-length":
            length = int(value)
        elif value.lower() != b"chunked":
            raise BadAnswer("an unknown transfer coding")
    if _UNSAFE.search(b"".join([value for _, value in headers])):
        raise BadAnswer("a header value holds CR, LF or NUL")
    until_close = not framing and status not in _BODILESS
    return AnswerHead(status, headers, length, until_close)
