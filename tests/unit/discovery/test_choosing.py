"""Each way of choosing spreads calls as it says."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from

from service.discovery.choosing import choice
from service.discovery.load import Load
from service.discovery.model import Endpoint
from tests.support.discovery import endpoints

CALLS = 30_000


def chooser(way, among, *, load=None, seed=5):
    return choice(way, among, load=load or Load(), chance=random.Random(seed))


def shares(choose, among, *, keys=None):
    seen = Counter(choose(among, keys and str(n)) for n in range(CALLS))
    return [seen[each] / CALLS for each in among]


def weighted(*weights):
    return tuple(Endpoint("10.0.0.1", 80 + n, weight=w) for n, w in enumerate(weights))


WEIGHTS = [(1, 1, 1, 1), (2, 1, 1), (0.1, 1)]
SHARED = [
    *(
        (way, keys, weights)
        for weights in WEIGHTS
        for way, keys in (
            ("round_robin", None),
            ("least_requests", None),
            ("consistent_hash", True),
            ("consistent_hash", None),
        )
    ),
    # it draws two by weight and compares them; see the module
    ("least_latency", None, WEIGHTS[0]),
]


@pytest.mark.parametrize(("way", "keys", "weights"), SHARED, ids=str)
def test_idle_endpoints_get_shares_by_weight(way, keys, weights):
    """Of 30,000 calls one after the other, each endpoint gets its share, to 2 %."""
    among = weighted(*weights)

    found = shares(chooser(way, among), among, keys=keys)

    expected = [each / sum(weights) for each in weights]
    assert found == pytest.approx(expected, abs=0.02)


@given(integers(1, 9), integers(1, 40), integers(0, 99))
def test_round_robin_of_equal_endpoints_is_even(count, rounds, seed):
    """After whole rounds nobody had one call more than another."""
    among = endpoints(count)
    choose = chooser("round_robin", among, seed=seed)

    seen = Counter(choose(among, None) for _ in range(count * rounds))

    assert set(seen.values()) == {rounds}


@given(lists(integers(0, 3), min_size=1, max_size=200), integers(0, 99))
def test_round_robin_with_exclusions_gives_what_is_allowed(excluded, seed):
    """One that is left out for a while is not sent everything at its return."""
    among = endpoints(4)
    choose = chooser("round_robin", among, seed=seed)

    for number in excluded:
        allowed = [each for n, each in enumerate(among) if n != number]
        assert choose(allowed, None) in allowed
    after = [choose(among, None) for _ in range(8)]

    assert max(Counter(after).values()) <= 4


def test_round_robin_of_many_clients_begins_everywhere():
    """Clients that start together don't all begin with the same endpoint."""
    among = endpoints(4)
    firsts = Counter(
        chooser("round_robin", among, seed=n)(among, None) for n in range(400)
    )

    assert min(firsts.values()) > 60


def test_least_requests_takes_the_less_busy_of_two():
    """Of two endpoints the one with fewer calls under way gets the next."""
    load = Load()
    busy, idle = among = endpoints(2)
    load.begin(busy)

    choose = chooser("least_requests", among, load=load)

    assert {choose(among, None) for _ in range(50)} == {idle}


def test_least_requests_is_nearly_even():
    """3,000 calls that never end over 100 endpoints: two choices keep them within a
    few calls of each other, where one choice by lot would not."""
    load = Load()
    among = tuple(Endpoint("10.0.0.1", 1 + n) for n in range(100))
    choose = chooser("least_requests", among, load=load)
    for _ in range(3000):
        load.begin(choose(among, None))
    lot = random.Random(5)
    by_lot = Counter(lot.choice(among) for _ in range(3000))

    assert max(load.calls(each) for each in among) <= 30 + 4
    assert max(by_lot.values()) > 30 + 10


KEYS = [f"user-{n}" for n in range(2000)]


def test_consistent_hash_of_one_that_goes_moves_its_keys_alone():
    """Keys of the others stay where they were."""
    among = endpoints(10)
    before = {key: chooser("consistent_hash", among)(among, key) for key in KEYS[:300]}
    left = among[:4] + among[5:]

    choose = chooser("consistent_hash", left)
    moved = {key for key in before if choose(left, key) != before[key]}

    assert moved == {key for key, where in before.items() if where == among[4]}


def test_consistent_hash_of_one_that_comes_takes_its_share():
    """A newcomer gets about a tenth of the keys, and none moves between the others."""
    among = endpoints(10)
    old = chooser("consistent_hash", among[:9])
    new = chooser("consistent_hash", among)

    moved = [key for key in KEYS if new(among, key) != old(among[:9], key)]

    assert {new(among, key) for key in moved} == {among[9]}
    assert len(moved) / len(KEYS) == pytest.approx(0.1, abs=0.03)


@given(sampled_from(["", "ключ", "\ud800", "a|b"]), integers(2, 8), integers(0, 9))
def test_consistent_hash_does_not_depend_on_the_order(key, count, seed):
    """Two clients that know the endpoints in another order agree."""
    among = endpoints(count)
    other = random.Random(seed).sample(among, count)

    one = chooser("consistent_hash", among)(among, key)

    assert chooser("consistent_hash", other)(other, key) == one
