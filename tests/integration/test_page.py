"""The pages in a real browser, against a real service."""

import re

import pytest

from tests.support.browser import CHROMIUM, launched, visiting
from tests.support.process import serving

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")

FAST = {"demo__delay_max": 0.2}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on PATH"),
]


@pytest.fixture(scope="module")
def browser():
    with launched() as started:
        yield started


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 375)]
)
def test_page_sends_requests_and_draws_their_delays(browser, tmp_path, scheme, width):
    """Counts run, bars and marks appear, nothing breaks, nothing sticks out."""
    options = {
        "color_scheme": scheme,
        "viewport": {"width": width, "height": 900},
        "reduced_motion": "reduce",
    }
    with serving(**FAST) as service, visiting(browser, service.url, **options) as visit:
        page = visit.page
        playwright.expect(page.locator("#version")).to_have_text("0.1.0")
        playwright.expect(page.locator("#state")).to_have_text("live")
        playwright.expect(page.locator("#empty")).to_be_visible()

        page.get_by_label("How many").fill("12")
        page.get_by_role("button", name="Send").click()
        playwright.expect(page.locator("#outcome")).to_contain_text("Done")
        playwright.expect(page.locator("#chart line.p99")).to_have_count(1)
        page.screenshot(path=tmp_path / f"page-{scheme}-{width}.png", full_page=True)

        answered, failed = map(int, re.findall(r"\d+", page.inner_text("#outcome")))
        assert answered + failed == 12
        assert failed <= len(visit.interruptions)
        assert page.locator("#empty").is_hidden()
        assert page.locator("#chart .bar").count() >= 20
        assert page.title().startswith("httpserver on ")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert visit.errors == []


def test_table_tells_what_the_chart_shows(browser):
    """Who can't see the chart reads its numbers."""
    with serving(**FAST) as service, visiting(browser, service.url) as visit:
        page = visit.page
        page.get_by_role("button", name="Send").click()
        page.get_by_text("The same as a table").click()
        page.get_by_text("Done").wait_for()
        served = page.locator("#answered").inner_text()
        playwright.expect(page.locator("#count")).to_have_text(served)

        cells = page.locator("#rows td:last-child").all_inner_texts()

        assert sum(map(int, cells)) == int(served)
        label = page.locator("#chart").get_attribute("aria-label")
        assert label.startswith(f"{served} requests: half within ")


def test_page_says_when_the_service_is_gone(browser):
    """The numbers stay, and the page says since when they are old."""
    with serving(**FAST) as service, visiting(browser, service.url) as visit:
        playwright.expect(visit.page.locator("#state")).to_have_text("live")
        service.close()

        state = visit.page.locator("#state.lost")

        playwright.expect(state).to_contain_text("no answer since")


def test_burst_can_be_stopped(browser):
    """The same button ends what it began."""
    with serving(demo__delay_min=5, demo__delay_max=5) as service:
        with visiting(browser, service.url) as visit:
            visit.page.get_by_role("button", name="Send").click()
            playwright.expect(visit.page.locator("#flying")).to_have_text("6")
            visit.page.get_by_role("button", name="Stop").click()

            outcome = visit.page.locator("#outcome")

            playwright.expect(outcome).to_contain_text("Stopped")
            playwright.expect(visit.page.locator("#flying")).to_have_text("0")


def test_api_page_shows_every_operation_and_tries_one(browser, tmp_path):
    """The page holds what `openapi.json` holds; a path parameter can be filled in."""
    with serving() as service, visiting(browser, f"{service.url}/docs") as visit:
        page = visit.page
        route = page.locator("details", has_text="/hello")
        route.wait_for()
        described = page.request.get(f"{service.url}/openapi.json").json()["paths"]
        page.screenshot(path=tmp_path / "docs.png", full_page=True)

        operations = sum(len(methods) for methods in described.values())
        assert page.locator("details.route").count() == operations
        assert visit.errors == []

        delay = page.locator("details", has_text="/delay/{seconds}")
        delay.locator("summary").click()
        delay.get_by_label("seconds").fill("0.01")
        delay.get_by_role("button", name="Try it").click()
        page.wait_for_url("**/delay/0.01")
        playwright.expect(page.locator("body")).to_contain_text('{"delay":0.01}')
