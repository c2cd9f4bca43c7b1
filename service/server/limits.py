"""
What a server grants its clients: time-outs and sizes, asked anew at each use.

Names and values follow nginx, HAProxy and Go's `net/http`; docs/limits.md says what a
client sees at each. The settings section `server` is one; `Limits` is another, for
servers without settings.
"""

from dataclasses import dataclass
from typing import Protocol

__all__ = ["ConnectionLimits", "Limits"]


class ConnectionLimits(Protocol):
    """Time-outs in seconds and sizes in bytes; a time-out of 0 is none."""

    @property
    def max_connections(self) -> int:
        """Open connections; 0 is no limit."""

    @property
    def idle_timeout(self) -> float:
        """Seconds without a request until a kept-alive connection is closed."""

    @property
    def header_timeout(self) -> float:
        """Seconds for the whole head, from the accept or the first byte."""

    @property
    def body_timeout(self) -> float:
        """Seconds of a body after which its rate is looked at."""

    @property
    def body_min_rate(self) -> int:
        """Bytes a second that a body must come with on average."""

    @property
    def write_timeout(self) -> float:
        """Seconds that a client may take nothing of what is to be sent."""

    @property
    def max_target_bytes(self) -> int:
        """Longest request target."""

    @property
    def max_headers(self) -> int:
        """Most header fields."""

    @property
    def max_header_bytes(self) -> int:
        """Largest sum of header names and values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits that stay as they are; see `ConnectionLimits`."""

    max_connections: int = 16_000
    idle_timeout: float = 75.0
    header_timeout: float = 10.0
    body_timeout: float = 10.0
    body_min_rate: int = 1_000
    write_timeout: float = 30.0
    max_target_bytes: int = 8_192
    max_headers: int = 100
    max_header_bytes: int = 32_768
