"""
Discovery, put together from the settings: one registry of all sources, the health
checks around it, and the balancer.

Only the sources that are configured are imported.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

from service.discovery.addresses import endpoint_of, split_address
from service.discovery.balancer import Balancer, Policy
from service.discovery.health import CheckedRegistry, HealthCheck, Probe, connects
from service.discovery.known import SourceObserver
from service.discovery.many import KnowingRegistry, ManyRegistries
from service.discovery.model import Endpoint, Registry
from service.discovery.outliers import OutlierLimits
from service.discovery.telling import Telling
from service.discovery.view import Discovery
from service.observability.discovery_metrics import DiscoveryMetrics
from service.server.parts import Part
from service.settings import DiscoverySettings
from service.settings.discovery import DiscoveredService

__all__ = ["Assembled", "assemble"]

Services = Mapping[str, DiscoveredService]


class Assembled:
    """
    Discovery as a part of the service, and what features use of it.

    Attributes:
        discovery: What features use.
        parts: What is started and stopped with the service.
    """

    def __init__(self, discovery: Discovery, parts: list[Part]) -> None:
        self.discovery = discovery
        self.parts = parts


def assemble(
    settings: Callable[[], DiscoverySettings],
    *,
    metrics: DiscoveryMetrics,
    prefix: str,
    ready: Callable[[], bool],
    announces: bool = True,
) -> Assembled:
    """
    Put discovery together.

    Args:
        settings: Gives the settings as they are now; all but secrets count once.
        metrics: Counts.
        prefix: Begins each key in the store of leases.
        ready: Whether this instance wants calls.
        announces: Whether this process is the one to register the instance.
    """
    now = settings()

    def endpoints(service: str) -> tuple[Endpoint, ...]:
        return outer.endpoints(service)

    telling = Telling(metrics, endpoints=endpoints)
    build = _Builder(now, settings, telling, prefix)
    required = [name for name, each in now.services.items() if each.required]
    sources = {name: each.source for name, each in now.services.items()}
    inner = ManyRegistries(build.registries(), sources=sources, required=required)
    checks = _checks(now.services)
    outer: Registry = (
        CheckedRegistry(inner, checks, on_change=telling.checked) if checks else inner
    )
    telling.begin(inner.services)
    policies = {name: _policy(each) for name, each in now.services.items()}
    balancer = Balancer(outer, policies=policies, zone=now.zone, observer=telling)
    parts: list[Part] = [outer if required else _Unchecked(outer)]
    if announces and now.announce.service:
        parts.append(build.announcer(ready))
    ways = {name: each.way for name, each in policies.items()}
    discovery = Discovery(balancer=balancer, registry=inner, ways=ways, zone=now.zone)
    return Assembled(discovery, parts)


class _Unchecked:
    """A registry as a part that readiness does not ask."""

    def __init__(self, registry: Registry) -> None:
        self.name = registry.name
        self.start = registry.start
        self.stop = registry.stop


class _Builder:
    """Makes the registries of the sources that are configured."""

    def __init__(
        self,
        now: DiscoverySettings,
        settings: Callable[[], DiscoverySettings],
        observer: SourceObserver,
        prefix: str,
    ) -> None:
        self._now = now
        self._settings = settings
        self._observer = observer
        self._prefix = prefix

    def registries(self) -> dict[str, KnowingRegistry]:
        by_source = defaultdict[str, dict[str, DiscoveredService]](dict)
        for name, each in self._now.services.items():
            by_source[each.source][name] = each
        if self._now.file:
            by_source.setdefault("static", {})
        makers: dict[str, Callable[[Services], KnowingRegistry]] = {
            "static": self._static,
            "dns": self._dns,
            "kubernetes": self._kubernetes,
            "leases": self._leases,
        }
        return {source: makers[source](each) for source, each in by_source.items()}

    def announcer(self, ready: Callable[[], bool]) -> Part:
        from service.discovery.lease_store import LeaseStore
        from service.discovery.leases import Announcement, Announcer

        announce = self._now.announce
        host, port = split_address(announce.address)
        what = Announcement(
            service=announce.service,
            instance=Endpoint(host, port, zone=self._now.zone),
            ttl=self._now.leases.ttl,
        )
        store = LeaseStore(self._store_url, prefix=self._prefix)
        return Announcer(what, store=store, wanted=ready, observer=self._observer)

    def _static(self, services: Services) -> KnowingRegistry:
        from service.discovery.static import StaticRegistry

        written = {
            name: [endpoint_of(one) for one in each.endpoints]
            for name, each in services.items()
            if each.endpoints
        }
        return StaticRegistry(
            written,
            file=Path(self._now.file) if self._now.file else None,
            expected=services.keys() - written.keys(),
            observer=self._observer,
        )

    def _dns(self, services: Services) -> KnowingRegistry:
        from service.discovery.dns import DnsRegistry
        from service.discovery.dns_lookup import Question, Ttl

        dns = self._now.dns
        questions = {
            name: Question(
                name=each.name or name, port=_number(each), family=each.family
            )
            for name, each in services.items()
        }
        return DnsRegistry(
            questions,
            servers=dns.servers,
            ttl=Ttl(least=dns.ttl_least, most=dns.ttl_most),
            timeout=dns.timeout,
            observer=self._observer,
        )

    def _kubernetes(self, services: Services) -> KnowingRegistry:
        from service.discovery.endpoint_slices import Target
        from service.discovery.kubernetes import KubernetesRegistry

        targets = {}
        for name, each in services.items():
            namespace, _, service = (each.name or name).rpartition("/")
            targets[name] = Target(
                namespace=namespace,
                service=service,
                port=each.port,
                family=each.family,
            )
        return KubernetesRegistry(targets, observer=self._observer)

    def _leases(self, services: Services) -> KnowingRegistry:
        from service.discovery.lease_store import LeaseStore
        from service.discovery.leases import LeaseRegistry

        leases = self._now.leases
        return LeaseRegistry(
            {name: each.name or name for name, each in services.items()},
            store=LeaseStore(self._store_url, prefix=self._prefix),
            ttl=leases.ttl,
            interval=leases.interval,
            observer=self._observer,
        )

    def _store_url(self) -> str:
        url = self._settings().leases.store
        return "" if url is None else url.get_secret_value()


def _number(each: DiscoveredService) -> int | None:
    return each.port if isinstance(each.port, int) else None


def _policy(each: DiscoveredService) -> Policy:
    limits = OutlierLimits(**each.outliers.model_dump())
    return Policy(way=each.way, zone_share=each.zone_share, outliers=limits)


def _checks(services: Services) -> dict[str, HealthCheck]:
    checks = {}
    for name, each in services.items():
        if each.check is not None:
            rest = each.check.model_dump(exclude={"path"})
            checks[name] = HealthCheck(probe=_probe(each.check.path), **rest)
    return checks


def _probe(path: str) -> Probe:
    if not path:
        return connects
    from service.discovery.health_http import answers

    return answers(path)
