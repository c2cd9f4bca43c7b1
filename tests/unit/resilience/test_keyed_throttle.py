"""A bucket for each key, by a clock that the test turns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.resilience.keyed_throttle import KeyedThrottle
from service.resilience.throttle import TokenBucket
from tests.support.clock import Clock


def test_keys_have_buckets_of_their_own():
    """One key's burst takes nothing from another."""
    throttle = KeyedThrottle(lambda: (1, 1), clock=Clock())
    throttle.try_acquire("a")

    assert throttle.try_acquire("a") == 1.0
    assert throttle.try_acquire("b") == 0.0


@pytest.mark.parametrize("order", ["abac", "baac"], ids=["older first", "newer first"])
def test_key_that_was_not_used_for_longest_is_forgotten(order):
    """The memory is bounded, and a key in use stays."""
    throttle = KeyedThrottle(lambda: (1, 1), max_keys=2, clock=Clock())
    for key in order:
        throttle.try_acquire(key)

    assert len(throttle) == 2
    assert throttle.try_acquire("a") == 1.0
    assert throttle.try_acquire("b") == 0.0


def test_refused_key_gains_nothing_by_others_that_fill_the_memory():
    """To be refused is a use too: else who asks again and again would be forgotten."""
    clock = Clock()
    throttle = KeyedThrottle(lambda: (1, 0.01), max_keys=4, clock=clock)
    granted = 0
    for helper in range(50):
        clock.now += 0.1
        granted += throttle.try_acquire("a") == 0.0
        throttle.try_acquire(helper)

    assert granted == 1


@given(
    max_keys=st.integers(1, 5), keys=st.lists(st.sampled_from("abcdefgh"), max_size=100)
)
def test_keys_are_forgotten_in_the_order_of_their_last_use(max_keys, keys):
    """As a list would have it that is sorted at each call."""
    throttle = KeyedThrottle(lambda: (1, 1), max_keys=max_keys, clock=Clock())
    known: list[str] = []
    for key in keys:
        refused = key in known
        known = [*(each for each in known if each != key), key][-max_keys:]

        assert (throttle.try_acquire(key) > 0.0) == refused


LATE_OR_OLDER = pytest.mark.parametrize(
    "keys", ["a", "xayz"], ids=["used of late", "among the older"]
)


@LATE_OR_OLDER
def test_forgotten_key_begins_anew(keys):
    """Its bucket is full again, and nothing of it is remembered."""
    throttle = KeyedThrottle(lambda: (1, 1), max_keys=3, clock=Clock())
    for key in keys:
        throttle.try_acquire(key)
    known = len(throttle)

    throttle.forget("a")
    throttle.forget("never seen")

    assert len(throttle) == known - 1
    assert throttle.try_acquire("a") == 0.0


def test_new_limits_take_effect_at_the_next_call():
    """A reload holds for keys that are known; what they took stays taken."""
    limits = [(1.0, 1.0)]
    throttle = KeyedThrottle(lambda: limits[0], clock=Clock())
    throttle.try_acquire("a")
    limits[0] = (2.0, 1.0)

    assert [throttle.try_acquire("a") for _ in range(2)] == [0.0, 1.0]


def test_debt_of_slower_limits_is_at_most_one_burst_of_the_new():
    """Who waits for an hour by the old limits waits a second by the new ones."""
    limits = [(1.0, 1 / 3600)]
    throttle = KeyedThrottle(lambda: limits[0], clock=Clock())
    throttle.try_acquire("a")
    limits[0] = (5.0, 1.0)

    assert throttle.try_acquire("a") == pytest.approx(1.0)


@LATE_OR_OLDER
def test_debt_of_slower_limits_is_paid_off_at_the_new_rate(keys):
    """To ask again and again meanwhile, and to be refused, changes nothing."""
    clock = Clock()
    limits = [(10.0, 0.01)]
    throttle = KeyedThrottle(lambda: limits[0], max_keys=3, clock=clock)
    for key in keys:
        assert throttle.try_acquire(key, 10) == 0.0
    limits[0] = (10.0, 1.0)
    assert throttle.try_acquire("a") == pytest.approx(1.0)

    granted = 0
    for _ in range(20):
        clock.now += 0.5
        granted += throttle.try_acquire("a") == 0.0

    assert granted == 10
    assert len(throttle) <= 3


def test_allowance_tells_what_is_left():
    """Limit, whole tokens and seconds until full, as headers tell them."""
    clock = Clock()
    throttle = KeyedThrottle(lambda: (4, 2), clock=clock)

    assert throttle.acquire("a") == (0.0, 4, 3, 0.5)
    assert throttle.acquire("a", 3) == (0.0, 4, 0, 2.0)
    assert throttle.acquire("a") == (0.5, 4, 0, 2.0)
    clock.now += 1.25
    assert throttle.acquire("a") == (0.0, 4, 1, 1.25)
    assert throttle.acquire("a", 5).wait == float("inf")


def test_full_keys_are_forgotten_as_others_come():
    """Memory follows the clients of the last moments, not of all time."""
    clock = Clock()
    throttle = KeyedThrottle(lambda: (10, 10), max_keys=100_000, clock=clock)
    for second in range(50):
        for client in range(200):
            clock.now += 1 / 200
            throttle.try_acquire((second, client))

    assert len(throttle) <= 3 * 200 + 64


@given(
    max_keys=st.sampled_from([1, 2, 3, 100, 5000]),
    keys=st.lists(st.integers(0, 20_000), max_size=300),
)
def test_no_more_keys_are_remembered_than_asked_for(max_keys, keys):
    """Whichever keys come."""
    throttle = KeyedThrottle(lambda: (5, 1), max_keys=max_keys, clock=Clock())
    for key in keys:
        throttle.try_acquire(key)
        throttle.try_acquire(key + 1)

        assert len(throttle) <= max_keys


@given(
    capacity=st.integers(1, 20),
    rate=st.floats(0.01, 1000),
    steps=st.lists(
        st.tuples(st.integers(0, 3), st.floats(0, 5), st.integers(1, 3)), max_size=100
    ),
)
def test_no_window_grants_a_key_more_than_burst_and_refill(capacity, rate, steps):
    """In any window of t seconds at most capacity + rate * t, for each key."""
    clock = Clock()
    throttle = KeyedThrottle(lambda: (capacity, rate), clock=clock)
    grants = {}
    for key, pause, amount in steps:
        clock.now += pause
        if throttle.try_acquire(key, amount) == 0.0:
            grants.setdefault(key, []).append((clock.now, amount))

    for granted in grants.values():
        for first, (begin, _) in enumerate(granted):
            total = 0
            for end, amount in granted[first:]:
                total += amount
                assert total <= capacity + rate * (end - begin) + 1e-5


@given(
    capacity=st.integers(1, 20),
    rate=st.sampled_from([0.5, 1.0, 4.0]),
    pauses=st.lists(st.integers(0, 12), max_size=60),
)
def test_keyed_throttle_grants_what_a_bucket_grants(capacity, rate, pauses):
    """One float tells what the bucket's two do."""
    clock = Clock()
    bucket = TokenBucket(capacity, rate, clock)
    throttle = KeyedThrottle(lambda: (capacity, rate), clock=clock)
    for pause in pauses:
        clock.now += pause / 8

        assert throttle.try_acquire("a") == bucket.try_acquire()


def test_throttle_without_memory_is_refused():
    """A throttle that remembers no key would limit nothing."""
    with pytest.raises(ValueError, match="max_keys"):
        KeyedThrottle(lambda: (1, 1), max_keys=0)
