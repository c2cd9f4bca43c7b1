"""
One rate limit for all replicas, kept in a store that speaks the Redis protocol.

A script in the store does what `KeyedThrottle` does, at once and by the store's own
clock, so that replicas need not agree on the time. Calls that come while others are
under way wait for them and go together, in one pipeline. A store that is away or slow
costs nobody more than the time-out once: this process then counts for itself, and looks
every second whether the store is back.

In the store: under prefix and key, the microseconds since 2025 at which the bucket is
full, in decimal; the store forgets it at that time. Needs Redis 5 or what is like it.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, Self

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from service.concurrency.cancelling import cancelled
from service.resilience.keyed_throttle import Allowance, KeyedThrottle, allowance

__all__ = ["SharedThrottle", "StoreObserver"]

SCRIPT = """
local time = redis.call('TIME')
local now = (time[1] - 1735689600) * 1000000 + time[2]
local span, cost = tonumber(ARGV[1]), tonumber(ARGV[2])
local full_at = tonumber(redis.call('GET', KEYS[1]) or now)
local debt = math.min(math.max(full_at - now, 0), span)
local after = debt + cost
if after > span + cost * 0.000001 then
  if full_at - now > span + 1 then
    redis.call('SET', KEYS[1], string.format('%.3f', now + span),
      'PX', math.ceil(span / 1000) + 1)
  end
  return {math.ceil(after - span), math.ceil(debt)}
end
local text = string.format('%.3f', now + after)
redis.call('SET', KEYS[1], text, 'PX', math.ceil(after / 1000) + 1)
return {0, math.ceil(after)}
"""
"""
KEYS: the bucket. ARGV: microseconds from empty to full, and those that a token takes.
Returns the microseconds to wait, 0 when granted, and those until the bucket is full.
"""

_MICRO = 1e6

_BATCH = 500
"""Calls in one pipeline: more would keep the store from others."""

_PROBE = "probe"
"""Key that is asked for to see whether the store is back."""


class StoreObserver(Protocol):
    """Is told how the store does."""

    def failed(self) -> None:
        """Count a call of the store that failed or took too long."""

    def lost(self, reason: str) -> None:
        """Note that the store is away; once until it is back."""

    def returned(self) -> None:
        """Note that the store is back."""


class _Asked(NamedTuple):
    key: str
    answer: asyncio.Future[Allowance]
    at: float


class SharedThrottle:
    """
    A keyed throttle that replicas share.

    Args:
        store: Client of the store.
        limits: Gives capacity and refill rate (tokens per second), asked at each call.
        local: Counts while the store is away.
        timeout: Gives the seconds that the store may take.
        observer: Is told how the store does.
        prefix: What keys in the store begin with.
        pause: Seconds between two looks whether the store is back.

    Concurrency:
        For one event loop; a call that is cancelled may have taken its token.
    """

    def __init__(
        self,
        store: Redis,
        *,
        limits: Callable[[], tuple[float, float]],
        local: KeyedThrottle,
        timeout: Callable[[], float],
        observer: StoreObserver,
        prefix: str = "",
        pause: float = 1.0,
    ) -> None:
        self._store = store
        self._limits = limits
        self._local = local
        self._timeout = timeout
        self._observer = observer
        self._prefix = prefix
        self._pause = pause
        self._digest = ""
        self._asked: list[_Asked] = []
        self._sending: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None

    @classmethod
    def at(cls, url: str, **options: Any) -> Self:
        """
        Return the throttle of the store at *url*; nothing is connected yet.

        Args:
            url: Such as `redis://cache:6379/0`, `rediss://` for TLS.
            options: What the class takes besides the client.

        Raises:
            ValueError: The URL can't be read.
        """
        # what failed is not tried again here: the client waits for the answer
        store = Redis.from_url(url, retry=Retry(NoBackoff(), 0), protocol=2)
        return cls(store, **options)

    async def acquire(self, key: str) -> Allowance:
        """Take a token of *key* if it is there; a refused call takes nothing."""
        if self._looking is not None:
            return self._local.acquire(key)
        loop = asyncio.get_running_loop()
        asked = _Asked(key, loop.create_future(), loop.time())
        self._asked.append(asked)
        if self._sending is None:
            self._sending = loop.create_task(self._send_all())
        return await asked.answer

    async def close(self) -> None:
        """Let go of the store."""
        tasks = (self._sending, self._looking)
        await cancelled(each for each in tasks if each is not None)
        self._count_alone()
        await self._store.aclose()

    # -- asking ------------------------------------------------------------------

    async def _send_all(self) -> None:
        """Send what is asked, batch after batch, until nothing is."""
        try:
            while self._asked:
                batch = self._asked[:_BATCH]
                await self._send(batch)
                # and not those that have come meanwhile, who are still to be asked for
                del self._asked[: len(batch)]
        except (RedisError, OSError, TimeoutError) as error:
            self._lose(error)
        finally:
            self._sending = None

    async def _send(self, batch: Sequence[_Asked]) -> None:
        async with asyncio.timeout_at(batch[0].at + self._timeout()):
            answers = await self._ask([each.key for each in batch])
        for asked, answer in zip(batch, answers, strict=True):
            if not asked.answer.done():
                asked.answer.set_result(answer)

    async def _ask(self, keys: Sequence[str]) -> list[Allowance]:
        """
        Return what the store says, in the order of *keys*.

        Raises:
            RedisError: It is away, or refuses.
        """
        capacity, rate = self._limits()
        arguments = (capacity / rate * _MICRO, _MICRO / rate)
        replies = await self._run(keys, arguments)
        missing = [at for at, each in enumerate(replies) if _is_unknown(each)]
        if missing:
            self._digest = await self._store.script_load(SCRIPT)
            again = await self._run([keys[at] for at in missing], arguments)
            for at, reply in zip(missing, again, strict=True):
                replies[at] = reply
        return [_allowance(each, capacity, rate) for each in replies]

    async def _run(
        self, keys: Sequence[str], arguments: tuple[float, float]
    ) -> list[Any]:
        """Run the script for all *keys* in one pipeline; errors are replies too."""
        if not self._digest:
            self._digest = await self._store.script_load(SCRIPT)
        pipeline = self._store.pipeline(transaction=False)
        for key in keys:
            name = self._prefix + key
            pipeline.evalsha(self._digest, 1, name, *map(repr, arguments))  # type: ignore[unused-awaitable]  # a pipeline only queues it
        return await pipeline.execute(raise_on_error=False)

    # -- outages -----------------------------------------------------------------

    def _lose(self, error: Exception) -> None:
        self._observer.failed()
        self._observer.lost(str(error) or type(error).__name__)
        self._looking = asyncio.get_running_loop().create_task(self._look())
        self._count_alone()

    def _count_alone(self) -> None:
        """Answer what is asked without the store."""
        asked, self._asked = self._asked, []
        for each in asked:
            if not each.answer.done():
                each.answer.set_result(self._local.acquire(each.key))

    async def _look(self) -> None:
        """Wait until the store does what is asked of it."""
        while True:
            await asyncio.sleep(self._pause)
            try:
                async with asyncio.timeout(self._timeout()):
                    await self._ask([_PROBE])
            except (RedisError, OSError, TimeoutError):
                self._observer.failed()
            else:
                break
        self._looking = None
        self._observer.returned()


def _is_unknown(reply: object) -> bool:
    return isinstance(reply, NoScriptError)


def _allowance(reply: Any, capacity: float, rate: float) -> Allowance:
    """Return what a reply means; an error among them is raised."""
    if isinstance(reply, Exception):
        raise reply
    wait, debt = (math.ceil(each) / _MICRO for each in reply)
    return allowance(wait, debt, capacity, rate)
