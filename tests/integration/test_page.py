"""The pages in a real browser, against a real service."""

import re

import httpx2
import pytest

from tests.support.browser import expect, visiting
from tests.support.process import serving

FAST = {"demo__delay_max": 0.2}

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def service():
    """A service for tests that count nothing of it."""
    with serving(**FAST) as running:
        yield running


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 375)]
)
def test_page_sends_requests_and_draws_their_delays(
    browser, service, tmp_path, scheme, width
):
    """Counts run, bars and marks appear, nothing breaks, nothing sticks out."""
    options = {
        "color_scheme": scheme,
        "viewport": {"width": width, "height": 900},
        "reduced_motion": "reduce",
    }
    with visiting(browser, service.url, **options) as visit:
        page = visit.page
        expect(page.locator("#version")).to_have_text("0.1.0")
        expect(page.locator("#state")).to_have_text("live")
        expect(page.locator("#rate")).to_have_text(re.compile(r"\d"))

        page.get_by_label("How many").fill("12")
        page.get_by_role("button", name="Send").click()
        expect(page.locator("#outcome")).to_contain_text("Done")
        expect(page.locator("#chart line.p99")).to_have_count(1)
        page.screenshot(path=tmp_path / f"page-{scheme}-{width}.png", full_page=True)

        answered, failed = map(int, re.findall(r"\d+", page.inner_text("#outcome")))
        assert answered + failed == 12
        assert failed <= len(visit.interruptions)
        assert page.locator("#empty").is_hidden()
        assert page.locator("#chart .bar").count() >= 2
        assert page.locator("#chart .own").get_attribute("d").startswith("M")
        assert page.title().startswith("httpserver on ")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert visit.errors == []


def test_table_tells_what_the_chart_shows(browser):
    """Who can't see the chart reads its numbers: the service's and the visitor's."""
    with serving(**FAST) as service, visiting(browser, service.url) as visit:
        page = visit.page
        page.get_by_role("button", name="Send").click()
        page.get_by_text("The same as a table").click()
        page.get_by_text("Done").wait_for()
        own = page.locator("#answered").inner_text()
        expect(page.locator("#own-count")).to_have_text(own)
        served = str(int(own) + 1)  # the page itself
        expect(page.locator("#count")).to_have_text(served)

        columns = [
            page.locator(f"#rows td:nth-child({n})").all_inner_texts() for n in (2, 3)
        ]

        assert [sum(map(int, cells)) for cells in columns] == [int(served), int(own)]
        label = page.locator("#chart").get_attribute("aria-label")
        assert label.startswith(f"{served} requests: half within ")
        assert label.endswith(f" {own} of your own are drawn over them.")


def test_requests_of_others_appear_without_a_reload(browser):
    """What the service served to somebody else moves the chart."""
    with serving(**FAST) as service, visiting(browser, service.url) as visit:
        expect(visit.page.locator("#count")).to_have_text("1")
        for _ in range(5):
            httpx2.get(service.url, timeout=60)

        expect(visit.page.locator("#count")).to_have_text("6")
        expect(visit.page.locator("#own-count")).to_have_text("0")
        visit.page.get_by_text("since the start").click()
        expect(visit.page.locator("#count")).to_have_text("6")
        assert visit.page.locator("#rate").inner_text() != "0.0"


def test_hidden_page_asks_nothing(browser, service):
    """A tab that nobody sees costs the service nothing, and goes on when it is seen."""
    hide = """hidden => {
        const getter = {get: () => hidden, configurable: true};
        Object.defineProperty(document, 'hidden', getter);
        document.dispatchEvent(new Event('visibilitychange'));
    }"""
    with visiting(browser, service.url) as visit:
        page = visit.page
        expect(page.locator("#state")).to_have_text("live")
        page.evaluate(hide, True)
        page.wait_for_timeout(1200)  # what was on its way has come
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.wait_for_timeout(2500)
        while_hidden = list(asked)
        page.evaluate(hide, False)
        with page.expect_response("**/latency"):
            pass

    assert while_hidden == []


def test_service_that_tells_no_latency_leaves_the_visitors_own(browser):
    """With the flag off the page says so, and goes on to send."""
    with serving(flags__latency="false", **FAST) as service:
        with visiting(browser, service.url) as visit:
            state = visit.page.locator("#state")
            expect(state).to_contain_text("does not tell its latency")
            expect(visit.page.locator("#version")).to_have_text("0.1.0")
            visit.page.get_by_role("button", name="Send").click()

            outcome = visit.page.locator("#outcome")

            expect(outcome).to_contain_text("Done")


def test_page_without_javascript_explains_itself(browser, service):
    """What could not work is not there; links are."""
    with visiting(browser, service.url, java_script_enabled=False) as visit:
        page = visit.page

        assert page.locator("noscript .notice").is_visible()
        assert page.locator("#chart").is_hidden()
        assert page.get_by_role("button").count() == 0
        page.get_by_role("link", name="/latency").click()
        assert '"since_start"' in page.content()


def test_page_says_when_the_service_is_gone(browser):
    """The numbers stay, and the page says since when they are old."""
    with serving(**FAST) as service, visiting(browser, service.url) as visit:
        expect(visit.page.locator("#state")).to_have_text("live")
        service.close()

        state = visit.page.locator("#state.lost")

        expect(state).to_contain_text("no answer since")


def test_burst_can_be_stopped(browser):
    """The same button ends what it began."""
    with serving(demo__delay_min=5, demo__delay_max=5) as service:
        with visiting(browser, service.url) as visit:
            visit.page.get_by_role("button", name="Send").click()
            expect(visit.page.locator("#flying")).to_have_text("6")
            visit.page.get_by_role("button", name="Stop").click()

            outcome = visit.page.locator("#outcome")

            expect(outcome).to_contain_text("Stopped")
            expect(visit.page.locator("#flying")).to_have_text("0")


def test_api_page_shows_every_operation_and_tries_one(browser, service, tmp_path):
    """The page holds what `openapi.json` holds; a path parameter can be filled in."""
    with visiting(browser, f"{service.url}/docs") as visit:
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
        expect(page.locator("body")).to_contain_text('{"delay":0.01}')
