"""
The client's side of load balancing: of a service's endpoints, one for each call.

    lease = balancer.lease("catalogue")
    with lease as endpoint:
        answer = await fetch(f"http://{endpoint}/products")
        if answer.status == 503:
            lease.failed()  # an answer, and it speaks against the endpoint

In this order: endpoints that are ready, or, when there is none, those that are about to
go and still answer; without those that keep failing, nor those that this call has
tried; those of the first priority; those of the own zone, when there are enough of
them; and of these the one that the way of choosing picks.
"""

import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from service.discovery.choosing import Choice, Choose, choice
from service.discovery.lease import Lease, speaks_against
from service.discovery.load import Load
from service.discovery.model import Endpoint, NoEndpoints, Registry
from service.discovery.outliers import OutlierLimits, Outliers

__all__ = ["Balancer", "BalancerObserver", "EndpointView", "Policy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """
    How calls are spread over the endpoints of a service.

    Attributes:
        way: How one is chosen.
        zone_share: Share of the endpoints that the own zone must have, for it to get
            all calls: with fewer they would be overrun. Above 1, zones play no part.
        outliers: When an endpoint is left out.
    """

    way: Choice = "least_requests"
    zone_share: float = 0.3
    outliers: OutlierLimits = field(default_factory=OutlierLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointView:
    """
    What the balancer knows of an endpoint.

    Attributes:
        endpoint: Which.
        in_flight: Calls under way from here.
        latency: How long a call takes, in seconds; 0 when nothing is known.
        out_for: Seconds for which it is still left out; 0 when it is not.
    """

    endpoint: Endpoint
    in_flight: int
    latency: float
    out_for: float


class BalancerObserver(Protocol):
    """Is told what the balancer does, in the thread of the call; it must not raise."""

    def picked(self, service: str, *, found: bool) -> None:
        """Count a pick, and whether there was an endpoint."""

    def ejected(self, service: str, endpoint: Endpoint, seconds: float) -> None:
        """Note that an endpoint is left out, for so many seconds."""


class Balancer:
    """
    Picks endpoints.

    Args:
        registry: Knows the endpoints.
        policy: How calls are spread.
        policies: The same for single services, by name.
        zone: The caller's own, whose endpoints are preferred; empty for none.
        is_failure: Whether an error of a call speaks against the endpoint.
        observer: Is told of picks and ejections.
        clock: Gives the time in seconds; it must not go backwards.
        chance: Where chance comes from.

    Concurrency:
        Tasks of one event loop; `view` on any thread.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        policy: Policy | None = None,
        policies: Mapping[str, Policy] | None = None,
        zone: str = "",
        is_failure: Callable[[BaseException], bool] = speaks_against,
        observer: BalancerObserver | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        self._registry = registry
        self._policy = policy or Policy()
        self._policies = policies or {}
        self._zone = zone
        self._is_failure = is_failure
        self._observer = observer
        self._clock = clock
        self._chance = chance or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._services: dict[str, _Service] = {}

    def pick(
        self,
        service: str,
        *,
        key: str | None = None,
        exclude: Collection[Endpoint] = (),
    ) -> Endpoint:
        """
        Return the endpoint for one call, which is not counted; see `lease`.

        Args:
            service: Name of the service.
            key: By consistent hash, calls with the same key go to the same endpoint;
                other ways don't look at it.
            exclude: Endpoints that this call has tried; one of them only when nothing
                else is left.

        Raises:
            UnknownService: The registry knows nothing of it.
            NoEndpoints: There is nothing to call.
        """
        return self._pick(self._service(service), key, exclude)

    def lease(
        self,
        service: str,
        *,
        key: str | None = None,
        exclude: Collection[Endpoint] = (),
        is_failure: Callable[[BaseException], bool] | None = None,
    ) -> Lease:
        """
        Return the block around one call: it gives the endpoint, counts the call as
        under way, and remembers what comes of it.

        Args:
            service: As `pick`.
            key: As `pick`.
            exclude: As `pick`.
            is_failure: Whether an error of this call speaks against the endpoint,
                instead of what the balancer goes by.

        Raises:
            UnknownService: As `pick`.
            NoEndpoints: As `pick`.
        """
        state = self._service(service)
        endpoint = self._pick(state, key, exclude)
        return Lease(
            endpoint,
            load=state.load,
            outliers=state.outliers,
            is_failure=is_failure or self._is_failure,
        )

    def view(self, service: str) -> list[EndpointView]:
        """
        Return what is known of each endpoint of *service*.

        Raises:
            UnknownService: As `pick`.
        """
        state = self._services.get(service)
        return [
            EndpointView(
                endpoint=each,
                in_flight=state.load.calls(each) if state else 0,
                latency=state.load.latency(each) if state else 0.0,
                out_for=state.outliers.out_for(each) if state else 0.0,
            )
            for each in self._registry.endpoints(service)
        ]

    def _service(self, name: str) -> "_Service":
        """
        Return the state of a service, brought to what the registry knows now.

        Raises:
            UnknownService: The registry knows nothing of it.
        """
        endpoints = self._registry.endpoints(name)
        state = self._services.get(name)
        if state is None:
            policy = self._policies.get(name, self._policy)
            state = _Service(name, policy, self._clock, self._observer)
            self._services[name] = state
        if state.endpoints is not endpoints:
            state.renew(endpoints, self._chance)
        return state

    def _pick(
        self, state: "_Service", key: str | None, exclude: Collection[Endpoint]
    ) -> Endpoint:
        if self._observer is not None:
            self._observer.picked(state.name, found=bool(state.usable))
        if not state.usable:
            raise NoEndpoints(f"service {state.name} has no endpoint")
        candidates: Sequence[Endpoint] = state.outliers.accepted(state.usable)
        if exclude:
            candidates = _without(candidates, exclude) or (
                _without(state.usable, exclude) or candidates
            )
        if state.has_priorities:
            candidates = _of_first_priority(candidates)
        if self._zone:
            candidates = _near(candidates, self._zone, state.policy.zone_share)
        return state.choose(candidates, key)


class _Service:
    """What is remembered of one service."""

    def __init__(
        self,
        name: str,
        policy: Policy,
        clock: Callable[[], float],
        observer: BalancerObserver | None,
    ) -> None:
        self.name = name
        self.policy = policy
        self.endpoints: tuple[Endpoint, ...] | None = None
        self.usable: Sequence[Endpoint] = ()
        self.choose: Choose
        self.has_priorities = False
        self.load = Load(clock=clock)
        self.outliers = Outliers(policy.outliers, clock=clock, on_eject=self._ejected)
        self._observer = observer

    def renew(self, endpoints: tuple[Endpoint, ...], chance: random.Random) -> None:
        """Go by these endpoints from now on, and forget what others did."""
        self.endpoints = endpoints
        self.usable = _usable(endpoints)
        self.has_priorities = len({each.priority for each in self.usable}) > 1
        self.choose = choice(
            self.policy.way, self.usable, load=self.load, chance=chance
        )
        self.load.keep(endpoints)
        self.outliers.keep(endpoints)

    def _ejected(self, endpoint: Endpoint, seconds: float) -> None:
        if self._observer is not None:
            self._observer.ejected(self.name, endpoint, seconds)


def _usable(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """Return those that want calls, else those that are about to go and answer."""
    ready = [each for each in endpoints if each.ready and not each.terminating]
    return ready or [each for each in endpoints if each.serving and each.terminating]


def _without(
    endpoints: Sequence[Endpoint], excluded: Collection[Endpoint]
) -> list[Endpoint]:
    return [each for each in endpoints if each not in excluded]


def _of_first_priority(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    first = min(each.priority for each in endpoints)
    return [each for each in endpoints if each.priority == first]


def _near(endpoints: Sequence[Endpoint], zone: str, share: float) -> Sequence[Endpoint]:
    """
    Return those of the zone: as they were assigned to zones, when all were (the one
    that assigns knows the load of each zone), else by where they are, when the zone has
    its share.
    """
    if all(each.for_zones for each in endpoints):
        near = [each for each in endpoints if zone in each.for_zones]
        return near or endpoints
    near = [each for each in endpoints if each.zone == zone]
    return near if near and len(near) >= share * len(endpoints) else endpoints
