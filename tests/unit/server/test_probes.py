"""Probes tell the truth: shallow liveness, deep and cached readiness."""

import asyncio
from dataclasses import dataclass

import pytest

from service.server.lifecycle import Phase
from service.server.probes import Health, probe_routes
from tests.support.asgi import application, client


@dataclass
class Limits:
    cache_ttl: float = 0.0
    check_timeout: float = 0.05
    stall_limit: float = 60.0


def probes(*, verbose=True, **fields):
    options = {"phase": lambda: Phase.READY, "limits": Limits} | fields
    return client(application(*probe_routes(Health(**options), verbose=verbose)))


async def works():
    pass


async def fails():
    raise ConnectionError("no route to store")


async def hangs():
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("phase", "live", "ready", "started"),
    [
        (Phase.STARTING, 200, 503, 503),
        (Phase.READY, 200, 200, 200),
        (Phase.DRAINING, 200, 503, 200),
        (Phase.STOPPING, 200, 503, 200),
        (Phase.STOPPED, 200, 503, 200),
    ],
)
async def test_each_phase_has_its_answers(phase, live, ready, started):
    """Only a ready service is ready; liveness holds from the first to the last."""
    async with probes(phase=lambda: phase) as http:
        assert (await http.get("/livez")).status_code == live
        assert (await http.get("/healthz")).status_code == live
        assert (await http.get("/readyz")).status_code == ready
        assert (await http.get("/startupz")).status_code == started


async def test_failed_and_hanging_checks_are_named_with_their_reason():
    """`?verbose` tells which part is not ready and why; liveness does not care."""
    checks = {"store": fails, "cache": hangs, "queue": works}
    async with probes(checks=checks) as http:
        ready = await http.get("/readyz?verbose")
        live = await http.get("/livez")

    assert (ready.status_code, live.status_code) == (503, 200)
    assert ready.json()["checks"] == {
        "store": "ConnectionError: no route to store",
        "cache": "no answer within 0.05 s",
        "queue": "ok",
    }


async def test_public_port_names_no_parts():
    """What the service depends on is nobody else's business."""
    async with probes(verbose=False, checks={"store": fails}) as http:
        answer = await http.get("/readyz?verbose")

    assert answer.json() == {"status": "unavailable", "phase": "ready"}


async def test_checks_run_once_for_many_probes_within_the_ttl():
    """A flood of probes costs the dependencies nothing."""
    runs = []

    async def count():
        runs.append(1)

    async with probes(checks={"a": count}, limits=lambda: Limits(cache_ttl=60)) as http:
        answers = await asyncio.gather(*(http.get("/readyz") for _ in range(20)))

    assert {answer.status_code for answer in answers} == {200}
    assert len(runs) == 1


async def test_drain_is_seen_at_once_whatever_is_cached():
    """The phase is never cached."""
    phase = [Phase.READY]
    limits = Limits(cache_ttl=60)
    async with probes(phase=lambda: phase[0], limits=lambda: limits) as http:
        assert (await http.get("/readyz")).status_code == 200
        phase[0] = Phase.DRAINING
        assert (await http.get("/readyz")).status_code == 503


@pytest.mark.parametrize(
    ("stalled", "limit", "status"), [(59, 60, 200), (61, 60, 503), (10_000, 0, 200)]
)
async def test_hung_main_loop_fails_liveness(stalled, limit, status):
    """Liveness fails when the main loop hangs for longer than the limit, 0 is never."""
    limits = Limits(stall_limit=limit)
    async with probes(stalled_for=lambda: stalled, limits=lambda: limits) as http:
        assert (await http.get("/livez")).status_code == status
