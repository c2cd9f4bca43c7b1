"""Token buckets by a clock that the test turns."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.resilience.backoff import Backoff
from service.resilience.retry import Retry
from service.resilience.throttle import Throttle, Throttled, TokenBucket
from tests.support.clock import Clock


def test_full_bucket_grants_its_capacity_at_once():
    """A burst of the capacity passes, the next call has to wait."""
    bucket = TokenBucket(3, 1, Clock())

    assert [bucket.try_acquire() for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]


def test_waiting_as_told_grants():
    """After the seconds that a refusal told, the same call is granted."""
    clock = Clock()
    bucket = TokenBucket(2, 0.5, clock)
    bucket.try_acquire(2)

    clock.now += bucket.try_acquire()

    assert bucket.try_acquire() == 0.0


def test_refusal_takes_nothing():
    """Refused calls do not put off the next grant."""
    bucket = TokenBucket(1, 1, Clock())
    bucket.try_acquire()

    waits = {bucket.try_acquire() for _ in range(5)}

    assert {1.0} == waits


def test_idle_bucket_holds_no_more_than_its_capacity():
    """A long pause earns no more than one burst."""
    clock = Clock()
    bucket = TokenBucket(2, 1, clock)
    clock.now += 3600

    assert [bucket.try_acquire() for _ in range(3)] == [0.0, 0.0, 1.0]


@pytest.mark.parametrize(("capacity", "rate"), [(0, 1), (1, 0), (-1, 1), (1, -1)])
def test_bucket_that_could_never_grant_is_refused(capacity, rate):
    """Capacity and rate must be above 0."""
    with pytest.raises(ValueError, match="above 0"):
        TokenBucket(capacity, rate)


@pytest.mark.parametrize("n", [0, -1, 3.5])
def test_amount_that_could_never_be_granted_is_refused(n):
    """More than the capacity would wait forever; nothing and less make no sense."""
    with pytest.raises(ValueError, match="at most the capacity"):
        TokenBucket(3, 1, Clock()).try_acquire(n)


@given(
    capacity=st.floats(1, 50),
    rate=st.floats(0.01, 50),
    steps=st.lists(st.tuples(st.floats(0, 20), st.floats(0.1, 1)), max_size=60),
)
def test_no_window_grants_more_than_capacity_and_refill(capacity, rate, steps):
    """In any window of t seconds at most capacity + rate * t tokens are granted."""
    clock = Clock()
    bucket = TokenBucket(capacity, rate, clock)
    grants = []
    for pause, amount in steps:
        clock.now += pause
        if bucket.try_acquire(amount) == 0.0:
            grants.append((clock.now, amount))

    for first, (begin, _) in enumerate(grants):
        total = 0.0
        for end, amount in grants[first:]:
            total += amount
            assert total <= capacity + rate * (end - begin) + 1e-6


async def test_guarded_calls_pass_as_tokens_come():
    """As a decorator of both kinds of function, as a block, and as one call."""
    clock, events = Clock(), []
    throttle = Throttle(
        "mail", capacity=4, refill_rate=2, observe=events.append, clock=clock
    )

    @throttle
    async def send():
        return "sent"

    @throttle
    def send_plainly():
        return "sent plainly"

    with throttle:
        found = [await send(), send_plainly(), await throttle.call(asyncio.sleep, 0)]
    with pytest.raises(Throttled, match="too many calls of mail") as refused:
        await send()

    assert found == ["sent", "sent plainly", None]
    assert refused.value.retry_after == 0.5
    assert [each.event for each in events] == ["refused"]
    assert events[0].fields == {"retry_after": 0.5}


async def test_retry_waits_as_long_as_a_throttle_says():
    """What was refused says when to come again."""
    clock = Clock()
    throttle = Throttle(capacity=1, refill_rate=0.25, clock=clock)

    async def sleep(seconds):
        clock.now += seconds

    retry = Retry(
        retry_on=lambda error: isinstance(error, Throttled),
        backoff=Backoff(first=0.1, jitter="none"),
        sleep=sleep,
    )

    @retry
    @throttle
    async def send():
        return clock.now

    assert [await send() - 1000 for _ in range(3)] == [0, 4, 8]


async def test_cancelled_call_has_had_its_token():
    """What was begun was begun."""
    throttle = Throttle(capacity=1, refill_rate=1, clock=Clock())
    call = asyncio.create_task(throttle.call(asyncio.sleep, 3600))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait([call])

    with pytest.raises(Throttled), throttle:
        pytest.fail("let in")


def test_threads_and_a_thousand_tasks_get_no_more_than_the_tokens():
    """However many ask at once."""
    throttle = Throttle(capacity=100, refill_rate=1, clock=Clock())

    def ask(_number):
        try:
            with throttle:
                return 1
        except Throttled:
            return 0

    async def tasks():
        async def one(number):
            return ask(number)

        return sum(await asyncio.gather(*map(one, range(1000))))

    with ThreadPoolExecutor(8) as threads:
        granted = sum(threads.map(ask, range(60)))

    assert granted + asyncio.run(tasks()) == 100


def test_throttle_that_could_never_grant_is_refused():
    """Less than one call is none."""
    with pytest.raises(ValueError, match="at least 1"):
        Throttle(capacity=0.5, refill_rate=1)
