"""
What a pattern costs around a call that succeeds, and around one that is refused, beside
the libraries that people use: microseconds of the processor's time, which other work on
the machine hardly changes, in 5 interleaved rounds of 20,000 awaited calls of a
coroutine function that does nothing. And a sharded map beside a dictionary with one
lock, by 8 threads, in microseconds of the clock, and by one, in those of the processor.
"""

import asyncio
import contextlib
import hashlib
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import aiolimiter
import purgatory
import pybreaker
import stamina
import tenacity
from purgatory.domain.model import OpenedState

from service.concurrency.sharded_map import ShardedMap
from service.resilience.adaptive_limit import AdaptiveLimit, Bounds
from service.resilience.bulkhead import Bulkhead
from service.resilience.circuit_breaker import (
    BreakerLimits,
    CircuitBreaker,
    CircuitOpen,
)
from service.resilience.debounce import Debounce
from service.resilience.fallback import Fallback
from service.resilience.hedge import Hedge
from service.resilience.load_shedding import LoadShedder, ShedClass
from service.resilience.policy import Policy
from service.resilience.retry import Retry
from service.resilience.throttle import Throttle, TokenBucket
from service.resilience.timeout import with_timeout
from tests.bench.tables import print_table

ROUNDS = 5
CALLS = 20_000
THREADS = 8

Call = Callable[[], Awaitable[object]]


async def nothing() -> None:
    """Do nothing."""


async def _fail() -> None:
    raise ConnectionError


def _tokens() -> Call:
    bucket = TokenBucket(1e9, 1e9)

    async def call() -> None:
        if bucket.try_acquire() == 0.0:
            await nothing()

    return call


def _aiolimiter() -> Call:
    limiter = aiolimiter.AsyncLimiter(1e9, 1)

    async def call() -> None:
        async with limiter:
            await nothing()

    return call


def _semaphore() -> Call:
    room = asyncio.Semaphore(10)

    async def call() -> None:
        async with room:
            await nothing()

    return call


def _shedder() -> LoadShedder:
    bounds = Bounds(least=10, most=1000, target_delay=0.1, adaptive=True)
    return LoadShedder(AdaptiveLimit(bounds), classes={"all": ShedClass(1.0, 2.0)})


def _asyncio_timeout() -> Call:
    async def call() -> None:
        async with asyncio.timeout(60):
            await nothing()

    return call


async def _purgatory() -> Call:
    factory = purgatory.AsyncCircuitBreakerFactory(default_threshold=5)
    breaker = await factory.get_breaker("peer")

    async def call() -> None:
        async with breaker:
            await nothing()

    return call


def _pybreaker() -> Call:
    breaker = pybreaker.CircuitBreaker(fail_max=5)

    def plain() -> None:
        return None

    async def call() -> None:  # its own asynchronous form needs Tornado
        breaker.call(plain)

    return call


async def _refused_by_ours() -> Call:
    breaker = CircuitBreaker(limits=BreakerLimits(minimum_calls=1, open_for=3600))

    async def call() -> None:
        with contextlib.suppress(ConnectionError, CircuitOpen):
            await breaker.call(_fail)

    await call()
    return call


async def _refused_by_purgatory() -> Call:
    factory = purgatory.AsyncCircuitBreakerFactory(
        default_threshold=1, default_ttl=3600
    )
    breaker = await factory.get_breaker("peer")

    async def call() -> None:
        try:
            async with breaker:
                await _fail()
        except (ConnectionError, OpenedState):
            pass

    await call()
    return call


async def _contestants() -> dict[str, dict[str, Call]]:
    """Return what is measured: pattern, then library, then the call."""
    stamina.instrumentation.set_on_retry_hooks([])
    everything = Policy(
        timeout=60, retry=Retry(), breaker=CircuitBreaker(), bulkhead=Bulkhead(10),
        attempt_timeout=10,
    )  # fmt: skip
    return {
        "the call alone": {"no pattern": nothing},
        "circuit breaker, closed": {
            "**ours**": CircuitBreaker()(nothing),
            "purgatory": await _purgatory(),
            "pybreaker, a plain function": _pybreaker(),
        },
        "circuit breaker, open": {
            "**ours**": await _refused_by_ours(),
            "purgatory": await _refused_by_purgatory(),
        },
        "retry, success at once": {
            "**ours**": Retry()(nothing),
            "stamina": stamina.retry(on=ConnectionError)(nothing),
            "tenacity": tenacity.retry(stop=tenacity.stop_after_attempt(3))(nothing),
        },
        "time-out": {
            "**ours**, with a deadline for callees": with_timeout(60)(nothing),
            "asyncio.timeout": _asyncio_timeout(),
        },
        "bulkhead": {"**ours**": Bulkhead(10)(nothing), "Semaphore": _semaphore()},
        "token bucket": {"**ours**": _tokens(), "aiolimiter": _aiolimiter()},
        "throttle": {
            "**ours**": Throttle(capacity=1e9, refill_rate=1e9)(nothing),
            "aiolimiter": _aiolimiter(),
        },
        "load shedding": {"**ours**": _shedder().guard("all")(nothing)},
        "fallback": {"**ours**": Fallback(lambda _error: None)(nothing)},
        "debounce, leading": {"**ours**": Debounce(nothing, 60, edge="leading")},
        "hedge": {"**ours**": Hedge(60)(nothing)},
        "time-out, retry, breaker, bulkhead, time-out": {
            "**ours**": everything(nothing)
        },
    }


async def _time(call: Call) -> float:
    began = time.process_time()
    for _ in range(CALLS):
        await call()
    return (time.process_time() - began) / CALLS * 1e6


async def _calls() -> list[list[str]]:
    contestants = await _contestants()
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        for pattern, libraries in contestants.items():
            for library, call in libraries.items():
                found.setdefault((pattern, library), []).append(await _time(call))
    return [[*key, _three(times)] for key, times in found.items()]


def _three(values: list[float]) -> str:
    return f"{min(values):.2f} / {median(values):.2f} / {max(values):.2f}"


def _threads(work: Callable[[int], None]) -> float:
    """Return the seconds that THREADS threads take for *work*."""
    together = threading.Barrier(THREADS + 1)

    def run(number: int) -> None:
        together.wait()
        work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(run, n) for n in range(THREADS)]
        together.wait()
        began = time.perf_counter()
        for future in futures:
            future.result()
        return time.perf_counter() - began


VALUE = bytes(1 << 20)


def _count(old: int | None) -> int:
    return (old or 0) + 1


def _hash(old: int | None) -> int:
    """Hash a megabyte, which lets go of the interpreter."""
    hashlib.sha256(VALUE).digest()
    return (old or 0) + 1


def _maps() -> list[list[str]]:
    rows = []
    for title, change, times in (("count", _count, 20_000), ("hash 1 MB", _hash, 20)):
        found: dict[str, list[float]] = {"1": [], "16": []}
        for _ in range(ROUNDS):
            for shards, seconds in found.items():
                counts: ShardedMap[int, int] = ShardedMap(int(shards))

                def work(
                    number: int,
                    counts: ShardedMap[int, int] = counts,
                    change: Callable[[int | None], int] = change,
                    times: int = times,
                ) -> None:
                    for _ in range(times):
                        counts.update(number, change)

                seconds.append(_threads(work) / times / THREADS * 1e6)
        one, many = found["1"], found["16"]
        ratio = f"{median(one) / median(many):.2f} x"
        rows.append([title, _three(one), _three(many), ratio])
    return rows


class _Locked:
    """A dictionary with one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[int, int] = {}

    def get(self, key: int) -> int | None:
        with self._lock:
            return self._values.get(key)

    def update(self, key: int, change: Callable[[int | None], int]) -> int:
        with self._lock:
            value = self._values[key] = change(self._values.get(key))
            return value


def _alone() -> list[list[str]]:
    """Return what one thread pays, in microseconds of the processor's time."""
    plain, locked, shards = {1: 1}, _Locked(), ShardedMap[int, int](16)
    contestants: dict[tuple[str, str], Callable[[int], object]] = {
        ("look-up", "dict"): plain.get,
        ("look-up", "dict and a lock"): locked.get,
        ("look-up", "16 shards"): shards.get,
        ("a count", "dict and a lock"): lambda key: locked.update(key, _count),
        ("a count", "16 shards"): lambda key: shards.update(key, _count),
    }
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        for name, call in contestants.items():
            began = time.thread_time()
            for _ in range(CALLS):
                call(1)
            spent = (time.thread_time() - began) / CALLS * 1e6
            found.setdefault(name, []).append(spent)
    return [[*name, _three(times)] for name, times in found.items()]


def main() -> None:
    """Print all tables."""
    rows = asyncio.run(_calls())
    print_table(("pattern", "library", "µs (min/median/max)"), rows)
    print()
    columns = ("under the lock", "one lock, µs", "16 shards, µs", "ratio")
    print_table(columns, _maps())
    print()
    print_table(("one thread", "map", "µs (min/median/max)"), _alone())
