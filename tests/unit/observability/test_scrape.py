"""`GET /metrics` of the admin port."""

import httpx2
import pytest

from service.app import create_service
from service.config import SettingsStore
from service.settings import Settings


@pytest.fixture
async def admin():
    service = create_service(SettingsStore.of(Settings()))
    transport = httpx2.ASGITransport(app=service.admin)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as made:
        yield made


async def test_scrape_gets_text_unless_it_asks_for_openmetrics(admin):
    """The form follows `Accept`."""
    plain = await admin.get("/metrics")
    openmetrics = await admin.get(
        "/metrics", headers={"accept": "application/openmetrics-text;version=1.0.0"}
    )

    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert openmetrics.headers["content-type"].startswith(
        "application/openmetrics-text; version=1.0.0"
    )
    assert openmetrics.text.endswith("# EOF\n")


async def test_scrape_can_ask_for_single_names(admin):
    """`name[]`, once or several times, as other clients of Prometheus have it."""
    answer = await admin.get(
        "/metrics",
        params=[("name[]", "http_requests_in_flight"), ("name[]", "python_info")],
    )

    names = [
        line.split()[2] for line in answer.text.splitlines() if line[:6] == "# TYPE"
    ]
    assert sorted(names) == ["http_requests_in_flight", "python_info"]


async def test_accept_without_sense_is_no_failed_scrape(admin):
    """The library would fail on such a version."""
    answer = await admin.get(
        "/metrics", headers={"accept": "application/openmetrics-text;version=abc"}
    )

    assert answer.status_code == 200
