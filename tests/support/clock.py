"""A clock that only the test moves."""

__all__ = ["Clock"]


class Clock:
    """
    Gives the same time until it is set.

    Attributes:
        now: Seconds.
    """

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
