"""The tree of calls, drawn in a real browser from real instances."""

import contextlib
import signal

import pytest

from tests.integration.test_fan_out import instance, place
from tests.support.browser import expect, visiting

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def shop():
    """A shop that calls one that is gone, and its catalogue, which calls two more."""
    with contextlib.ExitStack() as stack:
        prices = place(stack.enter_context(instance("prices")))
        slow = prices.replace("fan-out", "delay/0.2")
        gone = stack.enter_context(instance("stock"))
        stock = place(gone)
        catalogue = place(stack.enter_context(instance("catalogue", prices, slow)))
        gone.signal(signal.SIGKILL)
        gone.await_exit()
        yield stack.enter_context(instance("shop", catalogue, stock))


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 375)]
)
def test_page_draws_the_tree(browser, shop, tmp_path, scheme, width):
    """A bar for each call, failures in words, nothing sticks out, nothing breaks."""
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}}
    with visiting(browser, place(shop), **options) as visit:
        page = visit.page
        state = page.locator("#state")
        expect(state).to_have_text("1 of 4 calls failed")
        page.screenshot(path=tmp_path / f"tree-{scheme}-{width}.png", full_page=True)

        assert page.locator("#tree rect.call").count() == 5
        assert page.locator("#tree rect.failed").count() == 1
        assert "no connection" in page.locator("#tree").text_content()
        label = page.locator("#tree").get_attribute("aria-label")
        assert label.startswith("Tree of 4 calls in ")
        assert "; 1 failed: 127.0.0.1:" in label
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert visit.errors == []


def test_list_tells_what_the_picture_shows(browser, shop):
    """Who can't see the picture reads the tree."""
    with visiting(browser, place(shop)) as visit:
        page = visit.page
        page.get_by_text("The same as a list").click()
        page.get_by_role("button", name="Call again").click()
        expect(page.locator("#list > li")).to_have_count(1)
        top = page.locator("#list > li > ul > li")

        assert page.locator("#list p").count() == 5
        assert top.nth(0).locator("p").nth(0).inner_text().startswith("catalogue, on ")
        assert top.nth(1).inner_text().startswith("✕ 127.0.0.1:")
        assert "no connection" in top.nth(1).inner_text()


def test_instance_without_backends_says_so(browser):
    """There is nothing to draw but itself."""
    with instance("alone") as alone, visiting(browser, place(alone)) as visit:
        state = visit.page.locator("#state")

        expect(state).to_contain_text("no backend is set")
        assert visit.errors == []
