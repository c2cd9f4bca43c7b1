"""One attempt of a call: an endpoint, a connection, who calls, and what it comes to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple

import grpc

from service.commitlog.errors import CommitLogError, OutcomeUnknown
from service.discovery.balancer import Balancer, Policy
from service.discovery.lease import Lease
from service.discovery.model import Endpoint, NoEndpoints, UnknownService
from service.log_api.v1 import log_pb2_grpc
from service.log_client.channels import Channels
from service.log_client.errors import ClientClosed, NotConnected, is_lost, raised
from service.log_client.options import ChannelOptions
from service.log_client.targets import SCHEME, FixedEndpoints, endpoints_of

__all__ = ["Calling", "Flight", "Line", "Metadata"]

Metadata = Callable[[], Iterable[tuple[str, str]]]
"""Gives what is sent with each call, such as the trace; names in lower case."""


class Line(NamedTuple):
    """What a call is made with."""

    stub: "log_pb2_grpc.LogServiceAsyncStub"
    metadata: tuple[tuple[str, str], ...]


class Flight:
    """
    What is known of a call through its attempts.

    Attributes:
        tried: Where it failed last.
        in_doubt: Whether the service may have done it, and nobody knows.
    """

    def __init__(self) -> None:
        self.tried: tuple[Endpoint, ...] = ()
        self.in_doubt = False


class Calling:
    """
    Makes attempts.

    Args:
        target: `host:port`, several with commas, or `service://name`.
        balancer: Knows the services of `service://`.
        options: How channels are made.
        token: Gives the bearer token as it is now.
        metadata: Gives what else is sent.
        tell: Told why new certificates were not taken.

    Raises:
        ValueError: The target is none.
    """

    def __init__(
        self,
        target: str,
        *,
        balancer: Balancer | None,
        options: ChannelOptions,
        token: Callable[[], str] | None,
        metadata: Metadata,
        tell: Callable[[str], object],
    ) -> None:
        if target.startswith(SCHEME):
            if balancer is None:
                raise ValueError(f"{target} needs discovery")
            self._service, self._balancer = target.removeprefix(SCHEME), balancer
        else:
            registry = FixedEndpoints(endpoints_of(target))
            policy = Policy(way="round_robin")
            self._service, self._balancer = target, Balancer(registry, policy=policy)
        self._channels = Channels(options, tell=tell)
        self._token, self._metadata = token, metadata

    async def close(self) -> None:
        """End all connections."""
        await self._channels.close()

    @asynccontextmanager
    async def line(self, flight: Flight, *, produces: bool) -> AsyncIterator[Line]:
        """
        Give what one attempt is made with; it is to raise what gRPC raises.

        Raises:
            CommitLogError: What the attempt came to.
        """
        lease = self._lease(flight)
        with lease as endpoint:
            flight.tried = (endpoint,)
            known = (each.endpoint for each in self._balancer.view(self._service))
            await self._channels.keep(known)
            async with self._channels.stub(endpoint) as stub:
                before, flight.in_doubt = flight.in_doubt, produces
                try:
                    yield Line(stub, self._sent_along())
                except asyncio.CancelledError:
                    if not self._channels.cancelled():
                        raise
                    closed = ClientClosed()
                    raise OutcomeUnknown(str(closed)) if produces else closed from None
                except grpc.aio.AioRpcError as failure:
                    error = raised(failure, produces=produces)
                    in_doubt = isinstance(error, OutcomeUnknown)
                    flight.in_doubt = before or in_doubt
                    raise error from failure
                flight.in_doubt = before

    def _lease(self, flight: Flight) -> Lease:
        try:
            return self._balancer.lease(
                self._service, exclude=flight.tried, is_failure=is_lost
            )
        except NoEndpoints as error:
            raise NotConnected(str(error)) from error
        except UnknownService as error:
            raise CommitLogError(f"no service {self._service} is known") from error

    def _sent_along(self) -> tuple[tuple[str, str], ...]:
        token = self._token() if self._token else ""
        mine = (("authorization", f"Bearer {token}"),) if token else ()
        return (*self._metadata(), *mine)
