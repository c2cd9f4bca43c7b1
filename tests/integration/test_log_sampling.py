"""Sampling in the running process: with workers, live, and to the last line."""

import httpx2
import pytest

from tests.support.cluster import await_value
from tests.support.process import ServiceProcess, serving
from tests.support.scrape import value

FLOOD = 300

DROPPED = 'httpserver_log_lines_dropped_total{level="info"}'


def flood(service: ServiceProcess, count: int = FLOOD) -> None:
    """Send requests of one key."""
    with httpx2.Client(base_url=service.url, timeout=60) as http:
        for _ in range(count):
            assert http.get("/hello").status_code == 200


def told(service: ServiceProcess) -> tuple[int, int]:
    """Access lines that were written, and the number of those left out."""
    lines = [each for each in service.log if each["logger"] == "httpserver.access"]
    written = sum(each["event"] == "request" for each in lines)
    return written, sum(each.get("dropped", 0) for each in lines)


@pytest.mark.parametrize("workers", [1, 2])
def test_log_and_metric_tell_all_requests_of_a_flood(workers):
    """The metric is the workers' sum; the last count comes when the process ends."""
    with serving(
        server__workers=workers,
        server__drain_delay=0,
        log__sampling__first=3,
        log__sampling__then_every=100,
    ) as service:
        flood(service)
        await_value(
            lambda: told(service)[0] + value(service, DROPPED),
            lambda requests: requests == FLOOD,
        )
        service.signal(15)
        assert service.await_exit() == 0

    written, dropped = told(service)
    assert 3 <= written < FLOOD
    assert written + dropped == FLOOD


def test_sampling_is_switched_live(tmp_path):
    """A changed file is enough, and what was left out before is still told."""
    settings = tmp_path / "settings.yaml"
    settings.write_text("log: {level: info}\n")
    with serving("--config", str(settings), server__drain_delay=0) as service:
        flood(service, 20)
        settings.write_text("log: {sampling: {first: 1, then_every: 0}}\n")
        service.await_event("settings_reloaded")
        flood(service, 20)
        settings.write_text("log: {sampling: {first: 0}}\n")
        service.await_event("settings_reloaded")
        flood(service, 20)
        ended = service.await_event("lines_dropped")
        service.signal(15)
        assert service.await_exit() == 0

    written, dropped = told(service)
    assert written + dropped == 60
    assert 0 < ended["dropped"] <= dropped
    assert (ended["of"], ended["route"], ended["status_class"]) == (
        "request", "/hello", "2xx",
    )  # fmt: skip
