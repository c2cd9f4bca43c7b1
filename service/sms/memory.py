"""
Who got which notification: Alertmanager sends the whole of it again when a part failed,
and nobody should be woken twice by the same news.

Until all have it a notification is remembered for hours, as long as a provider may be
away. Then for minutes only: two Alertmanagers of a cluster may both send it, or one
that missed our answer; what comes later is a repetition that `repeat_interval` asks
for, and is meant to be sent.
"""

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Delivery", "Memory"]

UNFINISHED = 6 * 3600.0
"""Seconds that a notification is remembered which not all recipients have got."""

FINISHED = 300.0
"""Seconds that it is remembered once they have."""

MOST = 1_000
"""Notifications that are remembered; the oldest is forgotten for more."""


@dataclass(slots=True, kw_only=True)
class Delivery:
    """
    One notification on its way.

    Attributes:
        expires_at: When it is forgotten, in the memory's time.
        done: Who has got it.
        nonce: Tells it from the repetition that comes hours later.
        lock: Held by the one attempt that is going on.
    """

    expires_at: float
    done: set[str] = field(default_factory=set)
    nonce: str = field(default_factory=lambda: secrets.token_hex(8))
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Memory:
    """
    The notifications of the last hours.

    Args:
        clock: Gives the time in seconds; it must not go backwards.

    Concurrency:
        For one event loop.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[str, Delivery] = OrderedDict()

    def of(self, identity: str) -> Delivery:
        """Return what is known of a notification, and know it from now on."""
        now = self._clock()
        known = self._known.pop(identity, None)
        if known is None or known.expires_at <= now:
            known = Delivery(expires_at=now + UNFINISHED)
        self._known[identity] = known
        if len(self._known) > MOST:
            self._known.popitem(last=False)
        return known

    def finish(self, delivery: Delivery) -> None:
        """Note that all have it; the first time counts."""
        end = self._clock() + FINISHED
        delivery.expires_at = min(delivery.expires_at, end)
