"""
What the DNS says of a name, as endpoints: addresses (A, AAAA) with a port that is
known, or SRV records, which tell port, weight and priority themselves.

A name that is not there, or has no records, is an answer: nothing runs there now. A
server that does not answer, or can't, is none.

Source: RFC 1035, RFC 2782 (SRV), RFC 2308 (negative answers).
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import dns.asyncresolver
import dns.name
import dns.nameserver
import dns.rdata
import dns.resolver
from dns.rdtypes.IN.SRV import SRV

from service.discovery.addresses import split_address
from service.discovery.asking import Answer
from service.discovery.model import Endpoint

__all__ = ["Family", "Lookup", "Question", "Ttl", "resolver_of"]

Family = Literal["any", "ipv4", "ipv6"]
"""Which addresses are wanted; `any` is both."""

_TYPES: dict[Family, tuple[str, ...]] = {
    "any": ("A", "AAAA"),
    "ipv4": ("A",),
    "ipv6": ("AAAA",),
}

_SMALLEST_WEIGHT = 0.01
"""For records of weight 0, which get calls only rarely (RFC 2782)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """
    What is asked for a service.

    Attributes:
        name: The name; a last dot keeps search domains away.
        port: Port of the addresses; None asks for SRV records.
        family: Which addresses.
    """

    name: str
    port: int | None = None
    family: Family = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ttl:
    """
    How long answers are good for, in seconds, whatever they say.

    Attributes:
        least: Shortest; an answer that there is nothing is good for as long.
        most: Longest.
    """

    least: float = 1.0
    most: float = 60.0


@dataclass(frozen=True, slots=True)
class _Found:
    """Addresses, and the seconds they are good for."""

    hosts: tuple[str, ...]
    ttl: float


def resolver_of(
    servers: Sequence[str] = (), *, timeout: float = 5.0
) -> dns.asyncresolver.Resolver:
    """
    Return a resolver.

    Args:
        servers: `address:port` of each server; those of the machine without.
        timeout: Seconds that an answer may take, over all servers and attempts.

    Raises:
        dns.resolver.NoResolverConfiguration: None are given, and the machine has none.
        BadEndpoint: One is no address.
    """
    resolver = dns.asyncresolver.Resolver(configure=not servers)
    if servers:
        resolver.nameservers = [
            dns.nameserver.Do53Nameserver(*split_address(each)) for each in servers
        ]
    resolver.lifetime = timeout
    resolver.timeout = timeout / 2
    return resolver


class Lookup:
    """
    Asks a resolver.

    Args:
        resolver: Which.
        ttl: Bounds of the time that answers are good for.

    Concurrency:
        For one event loop.
    """

    def __init__(self, resolver: dns.asyncresolver.Resolver, *, ttl: Ttl) -> None:
        self._resolver = resolver
        self._ttl = ttl

    async def ask(self, question: Question) -> Answer:
        """
        Return the endpoints of a name.

        Raises:
            dns.exception.DNSException: No server gives an answer.
            OSError: No server can be reached.
        """
        if question.port is None:
            return await self._records(question)
        found = await self._addresses(question.name, question.family)
        endpoints = tuple(Endpoint(host, question.port) for host in found.hosts)
        return Answer(endpoints, self._good_for(found))

    async def _records(self, question: Question) -> Answer:
        """Ask for SRV records, and for the addresses of their targets."""
        answer, ttl = await self._query(question.name, "SRV")
        services = [each for each in answer if isinstance(each, SRV)]
        # a target of "." says that the service is not to be had
        records = [each for each in services if each.target != dns.name.root]
        targets = sorted({str(each.target) for each in records})
        asked = [self._addresses(each, question.family) for each in targets]
        found = dict(zip(targets, await asyncio.gather(*asked), strict=True))
        endpoints = [
            Endpoint(
                host,
                each.port,
                priority=each.priority,
                weight=max(each.weight, _SMALLEST_WEIGHT)
                / len(found[str(each.target)].hosts),
            )
            for each in records
            for host in found[str(each.target)].hosts
        ]
        ttls = [ttl, *(each.ttl for each in found.values())]
        hosts = tuple(each.host for each in endpoints)
        return Answer(_scaled(endpoints), self._good_for(_Found(hosts, min(ttls))))

    async def _addresses(self, name: str, family: Family) -> _Found:
        asked = [self._query(name, each) for each in _TYPES[family]]
        answers = await asyncio.gather(*asked)
        hosts = tuple(each.to_text() for records, _ in answers for each in records)
        # a family without addresses does not make the other one's answer old
        ttls = [ttl for records, ttl in answers if records] or [0.0]
        return _Found(hosts, min(ttls))

    async def _query(self, name: str, kind: str) -> tuple[list[dns.rdata.Rdata], float]:
        """Return the records of a name, and the seconds that they are good for."""
        try:
            answer = await self._resolver.resolve(
                name, kind, raise_on_no_answer=False, search=True
            )
        except dns.resolver.NXDOMAIN:
            return [], 0.0
        return list(answer.rrset or ()), answer.expiration - time.time()

    def _good_for(self, found: _Found) -> float:
        ttl = found.ttl if found.hosts else 0.0
        return min(max(ttl, self._ttl.least), self._ttl.most)


def _scaled(endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """Return them with weights that are 1 for the heaviest."""
    heaviest = max((each.weight for each in endpoints), default=1.0)
    return tuple(replace(each, weight=each.weight / heaviest) for each in endpoints)
