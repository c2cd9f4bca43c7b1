"""Control with worker processes: asked of the parent, done by the workers."""

import contextlib
import os
import signal
import time
from functools import partial

import httpx2
import pytest

from tests.support.control import controlled, operating
from tests.support.scrape import known_value
from tests.support.waiting import until


def answers(url: str, count: int = 12) -> set[int]:
    """Ask on connections of their own, which the kernel deals out to the workers."""
    return {httpx2.get(f"{url}/hello").status_code for _ in range(count)}


def workers(service) -> list[int]:
    return [line["pid"] for line in service.events("worker_started")]


@pytest.fixture(scope="module")
def service():
    with controlled(server__workers=2, probes__cache_ttl=0) as running:
        yield running


@pytest.fixture
def control(service):
    with operating(service) as http:
        yield http
    until(lambda: answers(service.url) == {200})


def test_fault_hits_in_every_worker_and_is_counted_once_each(service, control):
    """The parent sums up what the workers count, and knows what is in force."""
    control.post("/faults", json={"status": 503, "expires_in": 600})
    until(lambda: answers(service.url) == {503})
    before = known_value(service, 'httpserver_faults_injected_total{kind="status"}')

    assert answers(service.url, 40) == {503}
    until(
        lambda: (
            known_value(service, 'httpserver_faults_injected_total{kind="status"}')
            == before + 40
        )
    )
    assert known_value(service, "httpserver_faults_active") == 1


def test_successor_of_a_dead_worker_has_the_fault_at_once(service, control):
    """Not one answer of a worker that was just started is without it."""
    control.post("/faults", json={"status": 503, "expires_in": 600})
    until(lambda: answers(service.url) == {503})
    found = set()

    def ready() -> bool:
        with contextlib.suppress(httpx2.HTTPError):  # nobody is there for a while
            found.add(httpx2.get(f"{service.url}/hello").status_code)
        return httpx2.get(f"{service.admin_url}/readyz").status_code == 200

    for pid in workers(service)[-2:]:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(service.events("worker_died")) >= 2)
    until(ready)
    found |= answers(service.url, 20)

    assert found == {503}


def test_fault_ends_in_the_workers(service, control):
    """By itself, at the wall-clock time that the parent has set, told once."""
    fault = {"status": 503, "expires_in": 1}

    def hit():
        """Make one, again where it was over before it was met."""
        made = control.post("/faults", json=fault)
        return 503 in answers(service.url, 4) and made.json()["id"]

    made = until(hit)
    until(lambda: answers(service.url) == {200})

    ends = partial(service.events, "control_expired")
    ended = until(lambda: [each for each in ends() if each.get("id") == made])
    assert len(ended) == 1
    assert "worker" not in ended[0]


def test_readiness_is_off_in_the_workers_too(service, control):
    """The public port's probe says the same as the admin port's."""
    control.put("/readiness", json={"ready": False, "reason": "drill"})
    admin = httpx2.get(f"{service.admin_url}/readyz").status_code

    assert admin == 503
    until(
        lambda: (
            {httpx2.get(f"{service.url}/readyz").status_code for _ in range(12)}
            == {503}
        )
    )


def test_log_level_acts_in_the_workers(service, control):
    """Access lines are written by workers: an override silences them."""

    def quiet() -> bool:
        before = len(service.events("request"))
        answers(service.url)
        time.sleep(0.2)  # a line that does not come can't be awaited
        return len(service.events("request")) == before

    until(lambda: not quiet())
    control.put("/log-level", json={"level": "error"})
    until(quiet)
    control.delete("/log-level")
    until(lambda: not quiet())


def test_reload_reaches_the_workers(service, control):
    """Each says in the log that it has looked."""
    pids = {line["worker"] for line in service.events("listening") if "worker" in line}
    live = set(workers(service)[-2:])
    before = len(service.events("settings_unchanged"))
    control.post("/reload")

    def reloaded() -> set[int]:
        lines = service.events("settings_unchanged")[before:]
        return {line["worker"] for line in lines if "worker" in line}

    assert live <= pids
    until(lambda: live <= reloaded())
