"""Another service as calls see it: its pool, breaker, budget and room."""

import math
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Literal

import httpx2

from service.client.errors import InvalidRequest
from service.client.pools import MakeTransport
from service.client.repeating import (
    may_repeat_any,
    may_repeat_unsent,
    says_nothing,
    speaks_against,
)
from service.client.targets import Target
from service.client.telling import Telling
from service.resilience.backoff import Backoff
from service.resilience.bulkhead import Bulkhead
from service.resilience.circuit_breaker import BreakerLimits, CircuitBreaker
from service.resilience.hedge import Hedge
from service.resilience.policy import Policy
from service.resilience.retry import Retry, RetryBudget
from service.settings import ClientSettings

__all__ = ["Repeat", "Upstream", "Upstreams"]

Repeat = Literal["any", "unsent", "never"]
"""After which failures a call is repeated: those that pass, those that sent nothing."""

MOST_UPSTREAMS = 1000
"""Upstreams that are remembered; one without a call under way is forgotten for more."""

OPEN_MOST = 12
"""How many times as long as at first a breaker stays open at most."""


class Upstream:
    """
    One other service.

    Args:
        name: Its name.
        settings: How it is called.
        transport: Its connections.
        tell: Told what the patterns do.

    Attributes:
        name: Its name.
        transport: Its connections.
        in_flight: Calls under way.
        closed: Whether its connections were closed for good, so that none is made.
        breaker: Refuses calls while it is ill; None when that is switched off.

    Concurrency:
        Tasks of one event loop.
    """

    def __init__(
        self,
        name: str,
        settings: ClientSettings,
        *,
        transport: httpx2.AsyncBaseTransport,
        tell: Telling,
    ) -> None:
        self.name = name
        self.transport = transport
        self.in_flight = 0
        self.closed = False
        self.breaker: CircuitBreaker | None = None
        self._tell = tell
        self._room = Bulkhead(1)
        self._policies: dict[tuple[Repeat, bool], Policy] = {}
        self._settings = settings
        self._adapt(settings)

    def policy(
        self,
        settings: ClientSettings,
        *,
        repeat: Repeat,
        hedged: bool,
        timeout: float | None,
        streamed: bool,
    ) -> Policy:
        """
        Return the rules of one call.

        Args:
            settings: As they are now.
            repeat: After which failures it is repeated.
            hedged: Whether it may be sent again while its answer is late.
            timeout: Seconds for the whole; those of the settings without.
            streamed: Whether the answer is read after the call: its place in the
                bulkhead is kept with `room` until then.
        """
        if settings is not self._settings:
            self._adapt(settings)
        policy = self._policies.get((repeat, hedged))
        if policy is None:
            policy = self._policies[repeat, hedged] = self._made(repeat, hedged)
        if timeout is not None:
            policy = replace(policy, timeout=timeout)
        return replace(policy, bulkhead=None) if streamed else policy

    def room(self) -> AbstractContextManager[object]:
        """Return the block in which a streamed answer takes a place."""
        return self._room.guarded() if self._settings.max_in_flight else nullcontext()

    def _adapt(self, settings: ClientSettings) -> None:
        """Take these settings; what was learned of the upstream stays."""
        before, self._settings = self._settings, settings
        self._policies.clear()
        self._room.limit = max(settings.max_in_flight, 1)
        budget = (settings.retry_ratio, settings.retry_burst)
        if before is settings or (before.retry_ratio, before.retry_burst) != budget:
            self._budget = RetryBudget(budget[0], burst=budget[1])
        limits = _limits(settings)
        if not settings.breaker:
            self.breaker = None
        elif self.breaker is None or self.breaker.limits != limits:
            self.breaker = CircuitBreaker(
                self.name,
                limits=limits,
                is_failure=speaks_against,
                is_neutral=says_nothing,
                observe=self._tell.event,
            )
            self._tell.breaker_made(self.name)

    def _made(self, repeat: Repeat, hedged: bool) -> Policy:  # noqa: FBT001 - the key of the cache
        settings = self._settings
        return Policy(
            timeout=settings.timeout,
            retry=None if repeat == "never" else self._retry(repeat),
            breaker=self.breaker,
            bulkhead=self._room if settings.max_in_flight else None,
            attempt_timeout=settings.attempt_timeout if hedged else None,
            hedge=self._hedge() if hedged else None,
        )

    def _retry(self, repeat: Repeat) -> Retry:
        settings = self._settings
        most = max(settings.backoff, min(settings.backoff * 20, settings.timeout))
        return Retry(
            self.name,
            attempts=settings.attempts,
            backoff=Backoff(first=settings.backoff, most=most),
            retry_on=may_repeat_any if repeat == "any" else may_repeat_unsent,
            budget=self._budget,
            retry_after_most=settings.retry_after_most,
            observe=self._tell.event,
        )

    def _hedge(self) -> Hedge:
        return Hedge(
            self._settings.hedge_after,
            name=self.name,
            allowed=self._budget.spend,
            observe=self._tell.event,
        )


class Upstreams:
    """
    All that have been called lately.

    Args:
        transport: Makes the connections of one.
        tell: Told what the patterns do.

    Attributes:
        closed: Whether none is called any more.

    Concurrency:
        Tasks of one event loop.
    """

    def __init__(self, transport: MakeTransport, tell: Telling) -> None:
        self._transport = transport
        self._tell = tell
        self._known: OrderedDict[tuple[str, bool], Upstream] = OrderedDict()
        self.closed = False

    async def of(self, target: Target, settings: ClientSettings) -> Upstream:
        """
        Return the upstream of *target*.

        Raises:
            InvalidRequest: All were closed meanwhile.
        """
        key = (target.upstream, target.secure)
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            return known
        transport = await self._transport(target.secure)
        if self.closed:
            await transport.aclose()
            raise InvalidRequest("the client is closed")
        known = self._known.get(key)
        if known is not None:  # another call was faster
            await transport.aclose()
            return known
        known = self._known[key] = Upstream(
            target.upstream, settings, transport=transport, tell=self._tell
        )
        if len(self._known) > MOST_UPSTREAMS:
            await self._forget_one(known)
        return known

    def __iter__(self) -> Iterator[Upstream]:
        return iter(list(self._known.values()))

    async def close(self) -> None:
        """Close all connections, those in use too; there are no others."""
        self.closed = True
        while self._known:
            _, upstream = self._known.popitem()
            upstream.closed = True
            await upstream.transport.aclose()

    async def _forget_one(self, newest: Upstream) -> None:
        for key, each in self._known.items():
            if not each.in_flight and each is not newest:
                del self._known[key]
                await each.transport.aclose()
                return


def _limits(settings: ClientSettings) -> BreakerLimits:
    return BreakerLimits(
        failure_rate=settings.breaker_failure_rate,
        minimum_calls=settings.breaker_minimum_calls,
        window=settings.breaker_window,
        slow_after=math.inf,
        open_for=settings.breaker_open_for,
        open_for_most=settings.breaker_open_for * OPEN_MOST,
        probes=settings.breaker_probes,
    )
