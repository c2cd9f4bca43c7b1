"""
How many calls one client may have under way, and how much it may leave unread.

Both count until gRPC has forgotten the call, not until its handler is done: a client
that takes no answer holds a place and memory until it goes.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from service.log_api.errors import CallRefused, Reason
from service.log_service.access import Context, OpenAccess

__all__ = ["Places"]

MOST_UNREAD = 16_777_216
"""Bytes of answers that one client may leave unread, those of streams apart."""

_OPEN = OpenAccess()


class Places:
    """
    Counts the calls of each client, known by its certificate, else by its address.

    Args:
        most: Gives the calls that one may have, as it is now.

    Concurrency:
        For one event loop.
    """

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most
        self._calls: Counter[str] = Counter()
        self._unread: Counter[str] = Counter()

    def take(self, context: Context) -> str:
        """
        Take a place until the call is over; return whose it is.

        Raises:
            CallRefused: Its client has as many as it may.
        """
        client = _OPEN.identify(context).name
        if self._calls[client] >= self._most():
            raise CallRefused(Reason.TOO_MANY_CALLS)
        _count(self._calls, client, 1, context)
        return client

    def answer(self, context: Context, client: str, size: int) -> None:
        """
        Count an answer of *size* bytes to *client* until the call is over.

        Raises:
            CallRefused: It leaves too much unread; one answer it may always.
        """
        unread = self._unread[client]
        if unread and unread + size > MOST_UNREAD:
            raise CallRefused(Reason.TOO_MANY_CALLS)
        _count(self._unread, client, size, context)


def _count(counter: Counter[str], client: str, size: int, context: Context) -> None:
    def give_back(_call: object) -> None:
        counter[client] -= size
        if not counter[client]:
            del counter[client]

    counter[client] += size
    # their stub tells a protocol of two arguments; it is called with one
    cast("Any", context).add_done_callback(give_back)
