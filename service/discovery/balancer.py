"""
The client's side of load balancing: of a service's endpoints, one for each call.

    with balancer.lease("catalogue") as endpoint:
        answer = await fetch(f"http://{endpoint}/products")

In this order: endpoints that are ready, or, when there is none, those that are about to
go and still answer; without those that keep failing; those of the own zone, when there
are enough of them; and of these the one that the way of choosing picks.
"""

import random
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from types import TracebackType

from service.discovery.choosing import Choice, choice
from service.discovery.model import Endpoint, NoEndpoints, Registry
from service.discovery.outliers import Outliers

__all__ = ["Balancer", "Lease"]


def _any_error(error: BaseException) -> bool:
    return isinstance(error, Exception)


class Balancer:
    """
    Picks endpoints.

    Args:
        registry: Knows the endpoints.
        way: How one is chosen.
        zone: The caller's own, whose endpoints are preferred; empty for none.
        zone_share: Share of a service's endpoints that the own zone must have, for it
            to get all calls: with fewer they would be overrun.
        outliers: Who is left out; one that is made with the defaults without.
        is_failure: Whether an error of a call speaks against the endpoint.
        chance: Where chance comes from.

    Concurrency:
        Tasks of one event loop.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        way: Choice = "least_requests",
        zone: str = "",
        zone_share: float = 0.3,
        outliers: Outliers | None = None,
        is_failure: Callable[[BaseException], bool] = _any_error,
        chance: random.Random | None = None,
    ) -> None:
        self._registry = registry
        self._way = way
        self._zone = zone
        self._zone_share = zone_share
        self._outliers = outliers or Outliers()
        self._is_failure = is_failure
        self._in_flight: Counter[Endpoint] = Counter()
        self._choose = choice(way, in_flight=self._in_flight.__getitem__, chance=chance)

    def pick(
        self,
        service: str,
        *,
        key: str | None = None,
        exclude: Collection[Endpoint] = (),
    ) -> Endpoint:
        """
        Return the endpoint for one call.

        Args:
            service: Name of the service.
            key: Calls with the same key go to the same endpoint, by consistent hash.
            exclude: Endpoints that this call has tried; one of them only when nothing
                else is left.

        Raises:
            UnknownService: The registry knows nothing of it.
            NoEndpoints: There is nothing to call.
        """
        usable = _usable(self._registry.endpoints(service))
        if not usable:
            raise NoEndpoints(f"service {service} has no endpoint")
        accepted = self._outliers.accepted(usable)
        fresh = [each for each in accepted if each not in exclude] or [
            each for each in usable if each not in exclude
        ]
        return self._choose(self._near(fresh or accepted), key)

    def lease(
        self,
        service: str,
        *,
        key: str | None = None,
        exclude: Collection[Endpoint] = (),
    ) -> "Lease":
        """
        Return the block around one call: it gives the endpoint, and what comes of it is
        remembered.

        Raises:
            UnknownService: As `pick`.
            NoEndpoints: As `pick`.
        """
        return Lease(self, self.pick(service, key=key, exclude=exclude))

    def begin(self, endpoint: Endpoint) -> None:
        """Count a call that is under way."""
        self._in_flight[endpoint] += 1

    def end(self, endpoint: Endpoint, error: BaseException | None) -> None:
        """
        Take what came of a call.

        Args:
            endpoint: Who was called.
            error: What the call raised, if anything; one that is cancelled says
                nothing about the endpoint.
        """
        self._in_flight[endpoint] -= 1
        if not self._in_flight[endpoint]:
            del self._in_flight[endpoint]
        if error is None:
            self._outliers.succeeded(endpoint)
        elif self._is_failure(error):
            self._outliers.failed(endpoint)

    def _near(self, endpoints: Sequence[Endpoint]) -> Sequence[Endpoint]:
        if not self._zone:
            return endpoints
        near = [each for each in endpoints if each.zone == self._zone]
        return near if len(near) >= self._zone_share * len(endpoints) else endpoints


class Lease:
    """One call of an endpoint."""

    __slots__ = ("_balancer", "endpoint")

    def __init__(self, balancer: Balancer, endpoint: Endpoint) -> None:
        self._balancer = balancer
        self.endpoint = endpoint

    def __enter__(self) -> Endpoint:
        self._balancer.begin(self.endpoint)
        return self.endpoint

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._balancer.end(self.endpoint, error)


def _usable(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """Return those that want calls, else those that still answer."""
    ready = [each for each in endpoints if each.ready and not each.terminating]
    return ready or [each for each in endpoints if each.ready or each.terminating]
