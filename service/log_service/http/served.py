"""What the API and the page have in common."""

from collections.abc import Callable
from typing import NamedTuple

from service.log_service.http.appending import Appending
from service.log_service.http.callers import Callers
from service.log_service.servicer import Observe

__all__ = ["Served"]


class Served(NamedTuple):
    """
    What is served, and who is told of it.

    Attributes:
        callers: Lets requests pass.
        appending: Appends.
        observe: Told how many records were given.
        refused: Told the reason of each refusal.
    """

    callers: Callers
    appending: Appending
    observe: Observe
    refused: Callable[[str], object]
