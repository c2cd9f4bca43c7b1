"""What the service writes is found in a real Loki, by the queries of the documents."""

from datetime import UTC, datetime

import httpx2
import pytest

from tests.support.cluster import await_value
from tests.support.loki import (
    Loki,
    documented_queries,
    need_programs,
    shipped,
)
from tests.support.process import ServiceProcess, serving

pytestmark = pytest.mark.soak

REQUEST_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
"""The one that the documents ask for."""

FLOOD = 120

FIRST, EVERY = 5, 50


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service whose log has a flood, a slow request and an error in it; ended."""
    need_programs()
    settings = tmp_path_factory.mktemp("settings") / "settings.yaml"
    settings.write_text("log: {level: info}\n")
    with serving(
        "--config",
        str(settings),
        log__sampling__first=FIRST,
        log__sampling__then_every=EVERY,
        server__drain_delay=0,
    ) as process:
        cause(process)
        settings.write_text("log: {level: nonsense}\n")
        process.await_event("settings_reload_failed")
        process.signal(15)
        assert process.await_exit() == 0
        yield process


def cause(service: ServiceProcess) -> None:
    """Send what the queries look for."""
    with httpx2.Client(base_url=service.url, timeout=20) as http:
        answer = http.get("/version", headers={"x-request-id": REQUEST_ID})
        assert answer.headers["x-request-id"] == REQUEST_ID
        for _ in range(FLOOD):
            assert http.get("/hello").status_code == 200
        http.get("/delay/1.2")
        assert http.get("/nothing").status_code == 404


@pytest.fixture(scope="module")
def loki(service, tmp_path_factory):
    """A Loki that has got all that the service wrote, as containerd writes it down."""
    folder = tmp_path_factory.mktemp("loki")
    at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    text = "".join(f"{at} stdout F {line}" for line in service.written)
    with shipped(folder, text, app="httpserver", namespace="httpserver") as server:
        await_value(
            lambda: len(server.lines('{app="httpserver"}')),
            lambda count: count == len(service.written),
            limit=60,
        )
        yield server


def test_request_is_found_by_the_id_of_its_answer(loki: Loki) -> None:
    """One line, with its level as a label, just as it was written."""
    found = loki.lines(f'{{app="httpserver"}} | json | request_id="{REQUEST_ID}"')

    ((labels, text),) = found
    assert labels["level"] == "info"
    assert labels["path"] == "/version"
    assert text.startswith('{"timestamp":')


def test_error_is_found_by_its_level(loki: Loki) -> None:
    """The label alone is asked for, no line is looked into."""
    ((labels, text),) = loki.lines('{app="httpserver", level="error"}')

    assert labels["level"] == "error"
    assert "settings_reload_failed" in text


def test_sampling_leaves_a_count_that_adds_up(loki: Loki) -> None:
    """Lines of the flood and the count of those left out are all its requests."""
    flood = '{app="httpserver"} | json | route="/hello"'
    written = loki.lines(f'{flood} | event="request"')
    ((_labels, dropped),) = loki.values(
        f"sum(sum_over_time({flood} | unwrap dropped [5m]))"
    )

    assert FIRST <= len(written) < FLOOD
    assert len(written) + dropped == FLOOD


@pytest.mark.parametrize("query", documented_queries())
def test_documented_query_finds_something(loki: Loki, query: str) -> None:
    """What the documents tell people to ask has an answer."""
    assert loki.ask(query)
