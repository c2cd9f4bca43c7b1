"""What the refusals of all three filters have in common."""

import math
from typing import Protocol

__all__ = ["Refused", "retry_after"]


class Refused(Protocol):
    """Counts requests that were refused."""

    def __call__(self, reason: str, priority: str) -> None:
        """Count one, by why and by the priority of its route."""


def retry_after(seconds: float) -> dict[str, str]:
    """Return the header that asks for so many seconds, whole and never too few."""
    return {"retry-after": str(math.ceil(seconds))}
