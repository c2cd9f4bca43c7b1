"""
What a fan-out tells the next one: how deep it is, and how long it may take.

    X-Fan-Out-Hops: 2          calls above this one
    X-Fan-Out-Timeout: 1.62    seconds that the caller waits at most

Both only bound what is done: a caller can't raise the limits of the settings. Nor does
a fan-out take longer than its own request may: that would end as a 504 with no tree.
"""

import re
import time
from dataclasses import dataclass

from service.errors import BadRequest, RequestError
from service.server.context import RequestContext
from service.settings import FanOutSettings

__all__ = ["Budget", "budget"]

HOPS = "x-fan-out-hops"
TIMEOUT = "x-fan-out-timeout"

_LOOP = 508

_SHARE = 0.9
"""Part of the time left that callees get: their answer has to come back in time."""

_NUMBER = re.compile(r"[0-9]{1,3}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,5}(\.[0-9]{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Budget:
    """
    What one fan-out may use up.

    Attributes:
        hops: Calls above it.
        timeout: Seconds that it may take.
        granted: Seconds that the settings grant it, no fewer.
        deepest: Whether it may call nobody.
    """

    hops: int
    timeout: float
    granted: float
    deepest: bool

    @property
    def shortened(self) -> bool:
        """Whether the request leaves it less time than the settings."""
        return self.timeout < self.granted

    def headers(self, left: float) -> dict[str, str]:
        """
        Return what callees are told.

        Args:
            left: Seconds that are left.
        """
        return {HOPS: str(self.hops + 1), TIMEOUT: f"{left * _SHARE:.6f}"}


def budget(ctx: RequestContext, settings: FanOutSettings) -> Budget:
    """
    Return what the request may use up.

    Raises:
        BadRequest: A header says nothing that makes sense.
        RequestError: 508: there are too many calls above it.
    """
    hops, timeout = ctx.headers.get(HOPS, "0"), ctx.headers.get(TIMEOUT)
    if not _NUMBER.fullmatch(hops):
        raise BadRequest("X-Fan-Out-Hops must be a small number.")
    if int(hops) > settings.max_hops:
        raise RequestError("Too many calls stand above this one.", status=_LOOP)
    allowed = settings.timeout
    if timeout is not None:
        if not _SECONDS.fullmatch(timeout):
            raise BadRequest("X-Fan-Out-Timeout must be a number of seconds.")
        allowed = min(allowed, float(timeout))
    if ctx.deadline is not None:
        left = ctx.deadline - time.monotonic()
        allowed = min(allowed, max(0.0, left * _SHARE))
    deepest = int(hops) == settings.max_hops
    return Budget(int(hops), allowed, granted=settings.timeout, deepest=deepest)
