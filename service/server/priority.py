"""What a route may expect when the service can't serve everybody."""

from typing import Literal

__all__ = ["Priority"]

Priority = Literal["high", "normal", "low"]
"""Under overload low is shed first, high last; probes never are."""
