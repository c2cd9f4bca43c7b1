"""
An upstream: its endpoints, the connections to them, its breaker and retry budget.

One of a fixed address has one endpoint; one that is discovered has those that the
balancer picks from, and an attempt that is made again goes to another.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Protocol

from service.discovery.balancer import Balancer
from service.discovery.lease import Lease
from service.discovery.model import Endpoint, NoEndpoints, UnknownService
from service.proxy.failures import ClientLeft, Failure, ForbiddenAddress, Unasked
from service.proxy.places import Networks, is_address
from service.proxy.pool import Pool, PoolLimits
from service.proxy.targets import Target
from service.proxy.trust import Trust
from service.resilience.circuit_breaker import BreakerLimits, CircuitBreaker
from service.resilience.events import Observe
from service.resilience.retry import RetryBudget

__all__ = ["Claim", "Upstream", "speaks_against"]


class Claim(Protocol):
    """What is held of an endpoint while a request is under way there."""

    endpoint: Endpoint

    def finish(self, *, failed: bool | None) -> None:
        """Let go, and say how it went; None says nothing about the endpoint."""


class _Fixed:
    """A claim on the one endpoint of a fixed address: nothing is counted."""

    __slots__ = ("endpoint",)

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def finish(self, *, failed: bool | None) -> None:
        """Let go."""


class _Leased:
    """A claim by the balancer's lease."""

    __slots__ = ("_lease", "endpoint")

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self.endpoint = lease.__enter__()

    def finish(self, *, failed: bool | None) -> None:
        """Let go, and say how it went."""
        if failed is None:
            error = asyncio.CancelledError()
            self._lease.__exit__(type(error), error, None)
            return
        if failed:
            self._lease.failed()
        self._lease.__exit__(None, None, None)


class Upstream:
    """
    Where requests of routes go.

    Args:
        name: What metrics, logs and errors call it.
        target: Where it is, and by what TLS is checked.
        balancer: Picks endpoints of services; None where none is discovered.
        forbidden: Gives the networks to which nothing may be sent; what the settings
            name by its address is not looked at.
        limits: Gives the limits of its connections.
        breaker: When it is left alone.
        retry_ratio: Retries for each request.
        observe: Told of the breaker's states.
        reused: Counts connections that are taken.

    Attributes:
        name: What metrics, logs and errors call it.
        breaker: Refuses requests while it keeps failing.
        budget: Bounds the retries.

    Concurrency:
        For one event loop.
    """

    def __init__(
        self,
        name: str,
        target: Target,
        *,
        balancer: Balancer | None,
        forbidden: Callable[[], Networks],
        limits: Callable[[], PoolLimits],
        breaker: BreakerLimits,
        retry_ratio: float,
        observe: Observe,
        reused: Callable[[bool], None],
    ) -> None:
        self.name = name
        self.breaker = CircuitBreaker(
            name,
            limits=breaker,
            is_failure=speaks_against,
            is_neutral=_says_nothing,
            observe=observe,
        )
        self.budget = RetryBudget(retry_ratio)
        self._service = target.host if target.scheme == "service" else None
        self._fixed = _Fixed(Endpoint(target.host, target.port))
        self._trust = Trust(*target.tls) if target.tls else None
        self._balancer = balancer
        known = self._service is None and is_address(target.host)
        self._forbidden: Callable[[], Networks] = _none if known else forbidden
        self._limits = limits
        self._reused = reused
        self._pools: dict[Endpoint, Pool] = {}
        self._closed = False

    def claim(self, tried: Collection[Endpoint]) -> Claim:
        """
        Return an endpoint, another than those that were tried if there is one.

        Raises:
            Unasked: There is none.
        """
        if self._service is None:
            return self._fixed
        if self._balancer is None:
            raise Unasked("unknown_service", "The upstream is not known.")
        try:
            return _Leased(self._balancer.lease(self._service, exclude=tried))
        except NoEndpoints as error:
            words = "The upstream has no endpoint now."
            raise Unasked("no_endpoint", words) from error
        except UnknownService as error:
            raise Unasked("unknown_service", "The upstream is not known.") from error

    def pool(self, endpoint: Endpoint) -> Pool:
        """Return the connections to an endpoint."""
        pool = self._pools.get(endpoint)
        if pool is None:
            pool = self._pools[endpoint] = Pool(
                endpoint.host,
                endpoint.port,
                trust=self._trust,
                forbidden=self._forbidden,
                limits=self._limits,
                observe=self._reused,
            )
            if self._closed:
                pool.close()
        return pool

    def check(self, now: float) -> None:
        """End what is late by *now*; forget endpoints that nothing goes to."""
        for endpoint, pool in list(self._pools.items()):
            pool.check(now)
            if pool.empty:
                del self._pools[endpoint]

    def close(self) -> None:
        """Close what is idle; what is under way goes on, and is closed at its end."""
        self._closed = True
        for pool in self._pools.values():
            pool.close()

    def abort(self) -> None:
        """Close everything."""
        for pool in self._pools.values():
            pool.abort()


def speaks_against(error: BaseException) -> bool:
    """Whether an error is the upstream's: not that nobody may or wants to ask it."""
    return isinstance(error, Failure) and not isinstance(error, Unasked | ClientLeft)


def _says_nothing(error: BaseException) -> bool:
    """Whether an error says nothing of an upstream that may be asked."""
    return isinstance(error, ForbiddenAddress) or not speaks_against(error)


def _none() -> Networks:
    return ()
