"""The proxy, put together from the settings, and again when they change."""

import asyncio
from collections.abc import Callable
from functools import partial
from weakref import WeakSet

from service.feature import Core, Feature
from service.observability.logging import get_logger
from service.observability.proxy_metrics import ProxyMetrics, RouteMetrics
from service.proxy.forwarding import Forwarder, Inject
from service.proxy.places import Networks, networks_of
from service.proxy.pool import PoolLimits
from service.proxy.table import Table
from service.proxy.targets import Target
from service.proxy.tunnel import Tunnels
from service.proxy.upstream import Upstream
from service.resilience.circuit_breaker import BreakerLimits
from service.resilience.events import Event
from service.server.context import RequestContext
from service.server.lifecycle import Phase
from service.server.routes import ANY_METHOD, Route
from service.settings import Settings
from service.settings.proxy import ProxyRoute, ProxySettings

__all__ = ["Proxy", "proxy"]

SWEEP = 0.1
"""Seconds between two looks at what is late: time-outs are kept to within this."""

_Key = tuple[str, str, str]


def proxy(core: Core) -> Feature:
    """Return the proxy."""
    it = Proxy(core)
    return Feature(lookups=[it.find], parts=[it])


class Proxy:
    """
    The routes in force, the upstreams that they go to, and the clock of both.

    Args:
        core: What every feature may use.

    Concurrency:
        For one event loop; a reload may come on any thread.
    """

    name = "proxy"

    def __init__(self, core: Core) -> None:
        self._store = core.store
        self._balancer = core.balancer()
        self._metrics = ProxyMetrics(core.metrics.shared)
        self._log = get_logger("httpserver.proxy")
        settings = core.store.current
        self._via = settings.server.name.encode("ascii", "replace")
        self._inject = _injection(settings)
        self._tunnels = Tunnels(
            lambda: core.health.phase() is not Phase.READY,
            grace=lambda: core.store.current.proxy.tunnel_grace,
        )
        self._upstreams: dict[_Key, Upstream] = {}
        # as long as a request holds one: it may be about to ask it
        self._gone: WeakSet[Upstream] = WeakSet()
        self._forbidden: Networks = ()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._build(settings.proxy)

    def find(self, ctx: RequestContext) -> Route | None:
        """Return the route of a request, if the proxy has one."""
        return self._table.find(ctx)

    async def start(self) -> None:
        """Look after time-outs from now on, and follow the settings."""
        self._loop = asyncio.get_running_loop()
        self._unsubscribe = self._store.subscribe(self._reloaded)
        self._sweep()

    async def stop(self) -> None:
        """Close all connections."""
        self._unsubscribe()
        if self._sweeping is not None:
            self._sweeping.cancel()
        for each in [*self._upstreams.values(), *self._gone]:
            each.abort()

    # -- settings ------------------------------------------------------------------

    def _reloaded(self, old: Settings, new: Settings) -> None:
        if old.proxy != new.proxy and self._loop is not None:
            self._loop.call_soon_threadsafe(self._build, new.proxy)

    def _build(self, settings: ProxySettings) -> None:
        """Make the table; upstreams that are still wanted keep what they know."""
        self._forbidden = networks_of(settings.forbidden_networks)
        before, self._upstreams = self._upstreams, {}
        make = partial(self._route, settings, before)
        self._table = Table(settings.routes, make)
        kept = {id(each) for each in self._upstreams.values()}
        for each in before.values():
            if id(each) not in kept:
                each.close()
                self._gone.add(each)
        names = {each.name for each in self._upstreams.values()}
        gone = {each.name for each in before.values()} - names
        self._metrics.forget(gone)

    def _route(
        self, settings: ProxySettings, before: dict[_Key, Upstream], route: ProxyRoute
    ) -> Route:
        target = Target(route)
        upstream = self._upstream(settings, before, route, target)
        label = f"{route.host}{route.path.rstrip('/')}/*"
        forwarder = Forwarder(
            route,
            target,
            upstream,
            via=self._via,
            metrics=RouteMetrics(self._metrics, route=label, upstream=upstream.name),
            inject=self._inject,
            tunnels=self._tunnels,
        )
        return Route(
            path=label,
            handler=forwarder.handle,
            methods=ANY_METHOD,
            max_body_bytes=route.max_body_bytes,
            part=self.name,
            time_limit=0.0,  # the route's own, for each phase
        )

    def _upstream(
        self,
        settings: ProxySettings,
        before: dict[_Key, Upstream],
        route: ProxyRoute,
        target: Target,
    ) -> Upstream:
        name = route.name or _name(route, target)
        about = f"{settings.breaker!r} {settings.retry_ratio} {target.tls}"
        key = (name, f"{target.scheme}://{target.host}:{target.port}", about)
        upstream = self._upstreams.get(key) or before.get(key)
        if upstream is None:
            upstream = self._made(settings, name, target)
        self._upstreams[key] = upstream
        return upstream

    def _made(self, settings: ProxySettings, name: str, target: Target) -> Upstream:
        self._metrics.entered(name, "closed")
        taken = {
            reused: self._metrics.connections.labels(name, str(reused).lower()).inc
            for reused in (True, False)
        }
        return Upstream(
            name,
            target,
            balancer=self._balancer,
            forbidden=lambda: self._forbidden,
            limits=self._limits,
            breaker=BreakerLimits(
                failure_rate=settings.breaker.failure_rate,
                minimum_calls=settings.breaker.minimum_calls,
                window=settings.breaker.window,
                open_for=settings.breaker.open_for,
            ),
            retry_ratio=settings.retry_ratio,
            observe=self._breaker_turned,
            reused=lambda reused: taken[reused](),
        )

    def _limits(self) -> PoolLimits:
        settings = self._store.current.proxy
        return PoolLimits(
            settings.max_connections, settings.keep_alive, settings.max_head_bytes
        )

    def _breaker_turned(self, event: Event) -> None:
        state = "open" if event.event == "opened" else event.event
        self._metrics.entered(event.name, state)
        self._log.warning(
            "upstream_breaker", upstream=event.name, state=state, **event.fields
        )

    # -- time ----------------------------------------------------------------------

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeping = loop.call_later(SWEEP, self._sweep)
        now = loop.time()
        for each in [*self._upstreams.values(), *self._gone]:
            each.check(now)
        self._tunnels.check(now)


def _name(route: ProxyRoute, target: Target) -> str:
    """Return a name that tells no address."""
    if target.scheme == "service":
        return target.host.lower()
    return route.path.strip("/").replace("/", "-").lower() or "root"


def _injection(settings: Settings) -> Inject | None:
    """Return what adds the headers of a trace, where requests are traced."""
    if settings.tracing.exporter == "none":
        return None
    # OpenTelemetry takes its time to import
    from service.tracing.propagation import inject

    return inject
