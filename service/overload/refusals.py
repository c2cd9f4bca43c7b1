"""What the refusals of all three filters have in common."""

from typing import Protocol

__all__ = ["Refused"]


class Refused(Protocol):
    """Counts requests that were refused."""

    def __call__(self, reason: str, priority: str) -> None:
        """Count one, by why and by the priority of its route."""
