"""
Services that the DNS knows: asked again when an answer is no longer good, kept when
nobody answers.
"""

from collections.abc import Mapping, Sequence

from service.discovery.asking import Answer, Asking
from service.discovery.dns_lookup import Lookup, Question, Ttl, resolver_of
from service.discovery.known import Known, KnownServices, SourceObserver, unobserved
from service.resilience.backoff import Backoff

__all__ = ["DnsRegistry"]


class DnsRegistry(KnownServices):
    """
    Knows services by their names in the DNS.

    Args:
        questions: What is asked for each service.
        servers: `address:port` of the servers to ask; those of the machine without.
        ttl: Bounds of the time that answers are good for.
        timeout: Seconds that an answer may take.
        observer: Is told what changes.

    Concurrency:
        For one event loop; `endpoints` on any thread.
    """

    name = "discovery dns"

    def __init__(
        self,
        questions: Mapping[str, Question],
        *,
        servers: Sequence[str] = (),
        ttl: Ttl | None = None,
        timeout: float = 5.0,
        observer: SourceObserver = unobserved,
    ) -> None:
        self._questions = dict(questions)
        self._servers = tuple(servers)
        self._ttl = ttl or Ttl()
        self._timeout = timeout
        self._lookup: Lookup | None = None
        super().__init__(Known(self._questions, observer=observer))
        waits = Backoff(first=0.5, most=10.0, jitter="decorrelated")
        self._asking = Asking(self.known, self._questions, ask=self._ask, backoff=waits)

    async def start(self) -> None:
        """Ask from now on."""
        await self._asking.start()

    async def stop(self) -> None:
        """Ask no more."""
        await self._asking.stop()

    async def _ask(self, service: str) -> Answer:
        if self._lookup is None:
            # a machine that has no servers yet may have some later
            resolver = resolver_of(self._servers, timeout=self._timeout)
            self._lookup = Lookup(resolver, ttl=self._ttl)
        return await self._lookup.ask(self._questions[service])
