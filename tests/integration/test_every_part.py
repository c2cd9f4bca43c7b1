"""The service with all of its parts at once: it gets ready, and each can be reached."""

import httpx2
import pytest

from tests.support.process import serving

PAGES = (
    "/",
    "/hello",
    "/products",
    "/fan-out",
    "/phonebook",
    "/files",
    "/log",
    "/log/records",
    "/docs",
)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """All that can be switched on without another server."""
    folder = tmp_path_factory.mktemp("parts")
    token = folder / "secrets"
    token.mkdir()
    (token / "server__admin__control__token").write_text("t" * 40)
    with serving(
        "--secrets-dir",
        str(token),
        server__admin__control__enabled=True,
        throttle__enabled=True,
        fan_out__enabled=True,
        phonebook__enabled=True,
        phonebook__sqlite_path=folder / "contacts.db",
        files__enabled=True,
        files__root=folder / "files",
        log_service__enabled=True,
        log_service__directory=folder / "log",
        log_service__port=0,
        log_service__http__enabled=True,
        tracing__exporter="console",
    ) as service:
        yield service


def test_service_with_every_part_gets_ready(service):
    """No check of a part says no."""
    answer = httpx2.get(f"{service.admin_url}/readyz?verbose")
    checks = answer.json()["checks"]

    assert (answer.status_code, set(checks.values())) == (200, {"ok"})
    assert {"phonebook", "files", "log_streams"} <= checks.keys()


@pytest.mark.parametrize("path", PAGES)
def test_part_answers(service, path):
    """None hides behind another."""
    assert httpx2.get(service.url + path).status_code == 200
