"""What the composition root makes of the features' settings."""

import pytest

from service.app import create_app, create_service
from service.config import SettingsStore
from service.settings import DemoSettings, FlagSettings, LoginSettings, Settings
from tests.support.asgi import client

BROWSER = {"accept": "text/html"}

FAST = DemoSettings(delay_max=0)


@pytest.mark.parametrize(
    ("settings", "gone", "there"),
    [
        (Settings(demo=DemoSettings(enabled=False)), "/hello", "/user/login"),
        (Settings(login=LoginSettings(enabled=False)), "/user/login", "/hello"),
    ],
)
async def test_feature_that_is_off_has_no_routes(settings, gone, there):
    """Its paths are not found, and the others are still there."""
    browser = client(create_app(settings))

    assert (await browser.get(gone)).status_code == 404
    assert (await browser.get(there)).status_code in (200, 401)


async def test_random_delays_and_logins_are_measured():
    """What the features observe reaches the metrics."""
    service = create_service(SettingsStore.of(Settings(demo=FAST)))
    browser = client(service.app)

    await browser.get("/")
    await browser.post("/user/login", json={})
    exposition = service.metrics.render("")[0].decode()

    assert "httpserver_random_delay_seconds_count 1.0" in exposition
    assert 'httpserver_logins_total{result="malformed"} 1.0' in exposition


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        (FlagSettings(), "text/html; charset=utf-8"),
        (FlagSettings(page=False), "application/json"),
    ],
)
async def test_page_is_behind_its_flag(flags, kind):
    """A browser gets the page at `/`, or JSON when the flag is off."""
    browser = client(create_app(Settings(flags=flags, demo=FAST)))

    answer = await browser.get("/", headers=BROWSER)

    assert answer.headers["content-type"] == kind
    assert answer.headers["vary"] == "Accept"


async def test_page_that_the_browser_has_is_not_sent_again():
    """304 tells caches too that the answer depends on `Accept`."""
    browser = client(create_app())
    etag = (await browser.get("/", headers=BROWSER)).headers["etag"]

    answer = await browser.get("/", headers={**BROWSER, "if-none-match": etag})

    assert answer.status_code == 304
    assert answer.headers["vary"] == "Accept"
