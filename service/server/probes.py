"""
Liveness, readiness and startup probes.

    /livez, /healthz   200 while the process is worth keeping: it looks at nothing but
                       whether the main event loop still turns
    /readyz            200 while the service takes requests: started, not draining, and
                       every checked part says so; `?verbose` names them (admin port)
    /startupz          200 once the start is over

Liveness is shallow, readiness deep: a dependency that is away makes a pod unready,
which takes it out of the load balancer, and must never make it unalive, which would
restart every replica at once. Readiness results are cached and each check has a time
limit, so that probes cost the same however often they come.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from service.server.context import RequestContext
from service.server.lifecycle import Phase
from service.server.responses import Response
from service.server.routes import Route

__all__ = ["Check", "Health", "ProbeLimits", "probe_routes"]

Check = Callable[[], Awaitable[None]]

MAIN_LOOP = "main_loop"
"""Name of the check that the main event loop answers at all."""

SWITCH = "switch"
"""Name under which an operator's reason to be unready is told."""


class ProbeLimits(Protocol):
    """The settings of the probes, in seconds."""

    @property
    def cache_ttl(self) -> float:
        """Seconds that a readiness result is used again."""

    @property
    def check_timeout(self) -> float:
        """Seconds that a part's check may take."""

    @property
    def stall_limit(self) -> float:
        """Seconds that the main loop may hang; 0 is for ever."""


@dataclass(slots=True)
class Health:
    """
    What the probes report.

    Attributes:
        phase: Gives the lifecycle's phase.
        limits: Gives the settings, asked at each probe.
        stalled_for: Gives the seconds since the main loop last turned.
        checks: Readiness check of each part, by name; they run on the main loop.
        main_loop: The loop of the checks; None until it runs.
        switched_off: Gives the reason why an operator has taken the service out of
            traffic, or None; liveness does not ask.
    """

    phase: Callable[[], Phase]
    limits: Callable[[], ProbeLimits]
    stalled_for: Callable[[], float] = lambda: 0.0
    checks: Mapping[str, Check] = field(default_factory=dict)
    main_loop: asyncio.AbstractEventLoop | None = None
    switched_off: Callable[[], str | None] = lambda: None

    def live(self) -> bool:
        """Whether the main event loop still turns."""
        limit = self.limits().stall_limit
        return limit <= 0 or self.stalled_for() < limit

    def started(self) -> bool:
        """Whether the start is over."""
        return self.phase() is not Phase.STARTING

    async def failures(self) -> dict[str, str]:
        """
        Run every check and return the reason of each that failed, by name.

        Concurrency:
            From any event loop; the checks run on the main one.
        """
        limit = self.limits().check_timeout
        running = self._run_checks(limit)
        if self.main_loop is None or self.main_loop is asyncio.get_running_loop():
            return await running
        future = asyncio.run_coroutine_threadsafe(running, self.main_loop)
        try:
            # a little more than the checks have, which tell more when they time out
            return await asyncio.wait_for(asyncio.wrap_future(future), limit * 1.1)
        except TimeoutError:
            return {MAIN_LOOP: f"no answer within {limit:g} s"}

    async def _run_checks(self, limit: float) -> dict[str, str]:
        names = list(self.checks)
        results = await asyncio.gather(
            *(asyncio.wait_for(self.checks[name](), limit) for name in names),
            return_exceptions=True,
        )
        return {
            name: _reason(result, limit)
            for name, result in zip(names, results, strict=True)
            if result is not None
        }


def _reason(error: BaseException, limit: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {limit:g} s"
    return f"{type(error).__name__}: {error}"


class _Readiness:
    """The cached readiness of one server; one run of the checks at a time."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._lock = asyncio.Lock()
        self._failures: dict[str, str] = {}
        self._expires = 0.0

    async def failures(self) -> dict[str, str]:
        async with self._lock:
            if time.monotonic() >= self._expires:
                self._failures = await self._health.failures()
                self._expires = time.monotonic() + self._health.limits().cache_ttl
            return self._failures


def probe_routes(health: Health, *, verbose: bool) -> list[Route]:
    """
    Return the probes as routes.

    Args:
        health: What they report.
        verbose: Whether `/readyz?verbose` names the parts: on the admin port alone.
    """
    probes = _Probes(health, verbose=verbose)
    handlers = (
        ("/livez", probes.live, "Liveness probe"),
        ("/healthz", probes.live, "Liveness probe, by its older name"),
        ("/readyz", probes.ready, "Readiness probe"),
        ("/startupz", probes.started, "Startup probe"),
    )
    return [
        Route(path=path, handler=handler, summary=summary, probe=True)
        for path, handler, summary in handlers
    ]


class _Probes:
    """The handlers of one server's probes."""

    def __init__(self, health: Health, *, verbose: bool) -> None:
        self._health = health
        self._verbose = verbose
        self._readiness = _Readiness(health)

    async def live(self, ctx: RequestContext) -> Response:
        return _answer(ctx, ok=self._health.live(), phase=self._health.phase())

    async def started(self, ctx: RequestContext) -> Response:
        return _answer(ctx, ok=self._health.started(), phase=self._health.phase())

    async def ready(self, ctx: RequestContext) -> Response:
        phase = self._health.phase()
        failures = await self._readiness.failures() if phase is Phase.READY else {}
        off = self._health.switched_off()
        ok = phase is Phase.READY and not failures and off is None
        if not (self._verbose and "verbose" in ctx.query):
            return _answer(ctx, ok=ok, phase=phase)
        checks = self._health.checks
        names = [*checks, *(failures.keys() - checks.keys())]
        parts = {name: failures.get(name, "ok") for name in names}
        if off is not None:
            parts[SWITCH] = f"switched off: {off}"
        return _answer(ctx, ok=ok, phase=phase, checks=parts)


def _answer(ctx: RequestContext, *, ok: bool, phase: Phase, **more: object) -> Response:
    document = {"status": "ok" if ok else "unavailable", "phase": phase.value, **more}
    headers = {"cache-control": "no-store"}
    return ctx.write_json(document, status=200 if ok else 503, headers=headers)
