"""
Leases of instances in a store that speaks the Redis protocol.

In the store: under prefix and service a sorted set, whose members are the instances as
JSON (`address`, and `zone` and `weight` if there are) and whose scores are the
milliseconds of the store's own clock at which their leases end. So one read gives a
service whole, whatever else is in the store, instances need not agree on the time, and
one that dies is gone when its lease ends, without anybody who clears it away. Needs
Redis 5 or what is like it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from service.discovery.addresses import BadEndpoint, endpoint_of
from service.discovery.model import Endpoint

__all__ = ["LeaseStore"]

_NOW = "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) "

_RENEW = (
    _NOW
    + """
local ttl = tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ttl, ARGV[1])
if redis.call('PTTL', KEYS[1]) < ttl then redis.call('PEXPIRE', KEYS[1], ttl) end
"""
)
"""KEYS: the service. ARGV: the instance, and the milliseconds that its lease lasts."""

_READ = _NOW + "return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')"
"""KEYS: the service. Returns the instances whose leases last."""


class LeaseStore:
    """
    Reads and writes leases.

    Args:
        url: Gives the URL of the store; another one than before is connected anew.
        prefix: Begins each key.
        timeout: Seconds that the store may take.

    Concurrency:
        For one event loop.
    """

    def __init__(
        self, url: Callable[[], str], *, prefix: str, timeout: float = 2.0
    ) -> None:
        self._url = url
        self._prefix = prefix
        self._timeout = timeout
        self._opened: tuple[str, Redis] | None = None

    async def renew(self, service: str, instance: Endpoint, ttl: float) -> None:
        """
        Lease the place of an instance for *ttl* seconds from now.

        Raises:
            RedisError, OSError, TimeoutError: The store is away, or refuses.
        """
        member, millis = _written(instance), int(ttl * 1000)
        await self._call(
            lambda at: at.eval(_RENEW, 1, self._key(service), member, millis)
        )

    async def withdraw(self, service: str, instance: Endpoint) -> None:
        """
        End the lease of an instance.

        Raises:
            RedisError, OSError, TimeoutError: The store is away, or refuses.
        """
        await self._call(lambda at: at.zrem(self._key(service), _written(instance)))

    async def read(self, service: str) -> tuple[Endpoint, ...]:
        """
        Return the instances of a service; what is none is left out.

        Raises:
            RedisError, OSError, TimeoutError: The store is away, or refuses.
        """
        members = await self._call(lambda at: at.eval(_READ, 1, self._key(service)))
        return tuple(each for each in map(_read, members) if each is not None)

    async def close(self) -> None:
        """Let go of the store."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened[1].aclose()

    async def _call(self, call: Callable[[Redis], Awaitable[Any]]) -> Any:
        async with asyncio.timeout(self._timeout):
            return await call(await self._store())

    async def _store(self) -> Redis:
        url = self._url()
        if self._opened is not None and self._opened[0] != url:
            await self.close()
        if self._opened is None:
            # what failed is asked again in its time
            store = Redis.from_url(url, retry=Retry(NoBackoff(), 0), protocol=2)
            self._opened = (url, store)
        return self._opened[1]

    def _key(self, service: str) -> str:
        return f"{self._prefix}{service}"


def _written(instance: Endpoint) -> str:
    document: dict[str, object] = {"address": str(instance)}
    if instance.zone:
        document["zone"] = instance.zone
    if instance.weight != 1:
        document["weight"] = instance.weight
    return json.dumps(document, sort_keys=True)


def _read(member: bytes) -> Endpoint | None:
    """Return an instance; None when somebody else's entry is none."""
    try:
        return endpoint_of(json.loads(member))
    except (BadEndpoint, ValueError):
        return None
