"""The totals of one method, route and status, and the names that they go by."""

import time
from collections.abc import Mapping
from http import HTTPStatus

from prometheus_client.core import Exemplar

__all__ = [
    "DURATION",
    "IN_FLIGHT",
    "METHODS",
    "REQUESTS",
    "REQUEST_SIZE",
    "RESPONSE_SIZE",
    "STATUSES",
    "Key",
    "Series",
]

METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
)
"""Methods that are told apart; every other one is `other`, to bound the labels."""

STATUSES = frozenset(each.value for each in HTTPStatus) | {499}
"""Statuses that are told apart: the registered ones, and 499 for a client that left.
Every other one counts as the x00 of its class, to bound the labels (RFC 9110 §15)."""

EXEMPLAR_LIMIT = 128
"""Characters that the labels of an exemplar may have together (OpenMetrics 1.0)."""

REQUESTS = ("http_requests", "Requests that were answered.")
DURATION = (
    "http_request_duration_seconds",
    "Seconds from the first filter to the sent answer.",
)
IN_FLIGHT = ("http_requests_in_flight", "Requests that are being answered.")
REQUEST_SIZE = ("http_request_size_bytes", "Announced bytes of request bodies.")
RESPONSE_SIZE = ("http_response_size_bytes", "Sent bytes of response bodies.")

Key = tuple[str, str, int]
"""Method, route and status, each of a bounded set."""


class Series:
    """
    Totals of the requests of one key.

    Attributes:
        counts: Requests by bucket of the latency histogram, the last without bound.
        seconds: Their durations together.
        request_bytes: Announced bytes of their bodies together.
        response_bytes: Sent bytes of the answers' bodies together.
        exemplars: The last request of each bucket that came with an exemplar.
        changed: Whether there is something to publish.
    """

    __slots__ = (
        "changed",
        "counts",
        "exemplars",
        "request_bytes",
        "response_bytes",
        "seconds",
    )

    def __init__(self, counts: list[int]) -> None:
        self.counts = counts
        self.seconds = 0.0
        self.request_bytes = 0
        self.response_bytes = 0
        self.exemplars: dict[int, Exemplar] = {}
        self.changed = False

    def copy(self) -> "Series":
        """Return the same totals, to be read without the lock."""
        same = Series(self.counts.copy())
        same.seconds = self.seconds
        same.request_bytes = self.request_bytes
        same.response_bytes = self.response_bytes
        same.exemplars = self.exemplars.copy()
        return same

    def keep_exemplar(
        self, bucket: int, labels: Mapping[str, str], duration: float
    ) -> None:
        """Remember the last request of *bucket*, unless its labels are too long."""
        if sum(map(len, [*labels, *labels.values()])) <= EXEMPLAR_LIMIT:
            self.exemplars[bucket] = Exemplar(dict(labels), duration, time.time())
