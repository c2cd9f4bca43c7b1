"""
Which of several endpoints a call goes to.

    round_robin      one after the other
    least_requests   the one of two drawn by lot that has fewer calls under way, which
                     is nearly as even as asking all of them, and herds nobody
    least_latency    the one of two drawn by lot that would answer sooner, by the calls
                     under way and how long they take
    consistent_hash  the same key goes to the same endpoint, and when one comes or goes
                     only its own keys move (rendezvous hashing); without a key as
                     least_requests

An endpoint of weight 2 gets twice the calls, or keys, of one of weight 1; by the two
ways that draw lots it is twice as likely to be drawn.

Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001;
Thaler and Ravishankar, "A Name-Based Mapping Scheme for Rendezvous", 1996, with the
weights of Schindler and Ritter, "Weighted Distributed Hash Tables", 2005; Waldspurger
and Weihl, "Stride Scheduling", 1995.
"""

import hashlib
import math
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from service.discovery.load import Load
from service.discovery.model import Endpoint

__all__ = ["Choice", "Choose", "choice"]

Choice = Literal["round_robin", "least_requests", "least_latency", "consistent_hash"]

Choose = Callable[[Sequence[Endpoint], str | None], Endpoint]
"""Gives one of some of the endpoints, at least one, for a key or for none."""


def choice(
    name: Choice,
    endpoints: Sequence[Endpoint],
    *,
    load: Load,
    chance: random.Random,
) -> Choose:
    """
    Return the way of choosing of this name, for one service.

    Args:
        name: Which.
        endpoints: All that will be chosen from; when they change, a new one is made.
        load: How busy they are.
        chance: Where chance comes from.
    """
    differ = len({each.weight for each in endpoints}) > 1
    draw = _draw_by_weight if differ else _draw_two
    fewest = partial(
        _better,
        draw=draw,
        chance=chance,
        cost=lambda each: load.calls(each) / each.weight,
    )
    match name:
        case "round_robin":
            return _RoundRobin(endpoints, chance)
        case "least_requests":
            return fewest
        case "least_latency":
            return partial(_better, draw=draw, chance=chance, cost=load.expected)
        case "consistent_hash":
            highest = _Rendezvous(endpoints)
            return lambda some, key: (
                fewest(some, key) if key is None else highest(some, key)
            )


class _RoundRobin:
    """
    Takes whose turn is next; turns of a double weight come twice as often.

    A place in the list would not do: calls that exclude one, for a second attempt for
    instance, would make others be skipped, in step with them.
    """

    def __init__(self, endpoints: Sequence[Endpoint], chance: random.Random) -> None:
        # many clients that start together must not all begin with the same one
        self._turns = {each: chance.random() / each.weight for each in endpoints}
        self._latest = max(self._turns.values(), default=0.0)
        self._longest = max((1 / each.weight for each in endpoints), default=0.0)

    def __call__(self, some: Sequence[Endpoint], _key: str | None) -> Endpoint:
        turns = self._turns
        chosen = min(some, key=turns.__getitem__)
        # one that was left out for long does not get everything at its return
        turn = max(turns[chosen], self._latest - self._longest) + 1 / chosen.weight
        turns[chosen] = turn
        self._latest = max(self._latest, turn)
        return chosen


def _better(
    some: Sequence[Endpoint],
    _key: str | None,
    *,
    draw: "_Draw",
    cost: Callable[[Endpoint], float],
    chance: random.Random,
) -> Endpoint:
    if len(some) == 1:
        return some[0]
    one, other = draw(some, chance)
    return other if cost(other) < cost(one) else one


_Draw = Callable[[Sequence[Endpoint], random.Random], tuple[Endpoint, Endpoint]]
"""Draws two that differ; when they are as good as each other, the first is taken."""


def _draw_two(
    some: Sequence[Endpoint], chance: random.Random
) -> tuple[Endpoint, Endpoint]:
    first = chance.randrange(len(some))
    second = chance.randrange(len(some) - 1)
    return some[first], some[second + (second >= first)]


def _draw_by_weight(
    some: Sequence[Endpoint], chance: random.Random
) -> tuple[Endpoint, Endpoint]:
    (first,) = chance.choices(some, [each.weight for each in some])
    rest = [each for each in some if each != first]
    (second,) = chance.choices(rest, [each.weight for each in rest])
    return first, second


class _Rendezvous:
    """Takes the endpoint that scores highest with the key."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._begun = {each: _hash(f"{each}|") for each in endpoints}

    def __call__(self, some: Sequence[Endpoint], key: str) -> Endpoint:
        rest = key.encode("utf-8", "surrogatepass")
        return max(some, key=lambda each: self._score(each, rest))

    def _score(self, endpoint: Endpoint, rest: bytes) -> float:
        drawn = self._begun[endpoint].copy()
        drawn.update(rest)
        number = int.from_bytes(drawn.digest(), "big")
        return -endpoint.weight / math.log((number + 0.5) / 2**48)


def _hash(text: str) -> "hashlib.blake2b":
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6)
