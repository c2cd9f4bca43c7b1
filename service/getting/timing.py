"""How long each step of a call took."""

import time
from collections.abc import Callable
from typing import Any

from service.top.words import duration_text

__all__ = ["Timing"]

_STEPS = {
    "DNS": ("dns.started", "dns.complete"),
    "connect": ("connection.connect_tcp.started", "connection.connect_tcp.complete"),
    "TLS": ("connection.start_tls.started", "connection.start_tls.complete"),
    "first byte": (
        "http11.send_request_headers.started",
        "http11.receive_response_headers.complete",
    ),
}
"""Begin and end of each step, as the HTTP library names them."""


class Timing:
    """
    Takes down when things happen; of several attempts the last one counts.

    Args:
        clock: Gives the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._began = clock()
        self._ended: float | None = None
        self._at: dict[str, float] = {}

    async def trace(self, event: str, _about: dict[str, Any]) -> None:
        """Take an event of the HTTP library."""
        now = self._clock()
        if not self._at:  # what comes before is the time to load the library
            self._began = now
        self._at[event] = now

    def end(self) -> None:
        """Note that the whole answer is there."""
        self._ended = self._clock()

    def steps(self) -> dict[str, float | None]:
        """Return the seconds of each step, None for one that was not needed."""
        found: dict[str, float | None] = {}
        for name, (begin, end) in _STEPS.items():
            told = begin in self._at and end in self._at
            found[name] = self._at[end] - self._at[begin] if told else None
        head = self._at.get(_STEPS["first byte"][1])
        ended = self._clock() if self._ended is None else self._ended
        found["body"] = None if head is None else ended - head
        found["total"] = ended - self._began
        return found

    def text(self) -> str:
        """Return a line for each step."""
        return "\n".join(
            f"{name:<10} {duration_text(seconds):>9}"
            for name, seconds in self.steps().items()
        )
