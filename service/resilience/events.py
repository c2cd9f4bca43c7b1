"""What a pattern tells of itself, for logs and metrics of whoever uses it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Event", "Observe", "ignore"]


@dataclass(frozen=True, slots=True)
class Event:
    """
    Something worth telling.

    Attributes:
        pattern: Which pattern, such as `circuit_breaker`.
        name: Name that the user gave this one.
        event: What happened, such as `opened`.
        fields: More about it; times in seconds.
    """

    pattern: str
    name: str
    event: str
    fields: dict[str, Any] = field(default_factory=dict)


Observe = Callable[[Event], None]
"""Is told at once, in the thread of the call; it must neither block nor raise."""


def ignore(_event: Event) -> None:
    """Tell nobody."""
