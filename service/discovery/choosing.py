"""
Which of several endpoints a call goes to.

    round_robin      one after the other
    least_requests   the one of two drawn by lot that has fewer calls under way, which
                     is nearly as even as asking all of them, and herds nobody
    consistent_hash  the same key goes to the same endpoint, and when one comes or goes
                     only its own keys move (rendezvous hashing)

Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001;
Thaler and Ravishankar, "A Name-Based Mapping Scheme for Rendezvous", 1996.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from typing import Literal

from service.discovery.model import Endpoint

__all__ = ["Choice", "Choose", "InFlight", "choice"]

Choice = Literal["round_robin", "least_requests", "consistent_hash"]

InFlight = Callable[[Endpoint], int]
"""Gives how many calls of an endpoint are under way."""

Choose = Callable[[Sequence[Endpoint], str | None], Endpoint]
"""Gives one of some endpoints, at least one, for a key or for none."""


def choice(
    name: Choice, *, in_flight: InFlight, chance: random.Random | None = None
) -> Choose:
    """
    Return the way of choosing of this name.

    Args:
        name: Which.
        in_flight: Calls under way.
        chance: Where chance comes from.
    """
    lot = chance or random.Random()  # noqa: S311 - spreads load, guards nothing
    fewest = _least_requests(in_flight, lot)
    match name:
        case "round_robin":
            return _RoundRobin(lot)
        case "least_requests":
            return fewest
        case "consistent_hash":
            return lambda endpoints, key: (
                fewest(endpoints, key) if key is None else _highest(endpoints, key)
            )


class _RoundRobin:
    def __init__(self, lot: random.Random) -> None:
        # many clients that start together must not all begin at the first one
        self._next = lot.randrange(1 << 16)

    def __call__(self, endpoints: Sequence[Endpoint], _key: str | None) -> Endpoint:
        self._next += 1
        return endpoints[self._next % len(endpoints)]


def _least_requests(in_flight: InFlight, lot: random.Random) -> Choose:
    def choose(endpoints: Sequence[Endpoint], _key: str | None) -> Endpoint:
        if len(endpoints) == 1:
            return endpoints[0]
        one, other = lot.sample(endpoints, 2)
        return other if in_flight(other) < in_flight(one) else one

    return choose


def _highest(endpoints: Sequence[Endpoint], key: str) -> Endpoint:
    return max(endpoints, key=lambda each: _weight(each, key))


def _weight(endpoint: Endpoint, key: str) -> bytes:
    text = f"{endpoint}|{key}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=8).digest()
