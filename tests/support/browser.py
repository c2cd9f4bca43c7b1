"""Chromium for tests, launched once a module, and tabs that note what goes wrong."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

__all__ = [
    "CHROMIUM",
    "DESK",
    "PHONE",
    "Visit",
    "assert_accessible",
    "launched",
    "opening",
    "visiting",
]

CHROMIUM = shutil.which("chromium")
DESK = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

INTERRUPTED = "ERR_NETWORK_CHANGED"
"""What Chromium says when an interface of the machine comes or goes meanwhile."""


@contextlib.contextmanager
def launched() -> Iterator:
    """Run Chromium until the block ends; the test is skipped without Playwright."""
    driver = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with driver.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Visit:
    """
    A tab that notes what goes wrong in it.

    Attributes:
        errors: Console errors, exceptions and violations of the policy.
        interruptions: Errors that are the machine's, not the page's.
    """

    def __init__(self, page):
        self.page = page
        self.errors: list[str] = []
        self.interruptions: list[str] = []
        page.on("console", lambda each: self._note(each.type, each.text))
        page.on("pageerror", lambda each: self._note("error", str(each)))

    def _note(self, kind, text):
        if kind == "error":
            kept = self.interruptions if INTERRUPTED in text else self.errors
            kept.append(text)


@contextlib.contextmanager
def visiting(browser, url, **options) -> Iterator[Visit]:
    """Open *url* in a context of its own."""
    context = browser.new_context(**options)
    try:
        visit = Visit(context.new_page())
        visit.page.goto(url)
        yield visit
    finally:
        context.close()


@contextlib.contextmanager
def opening(browser, base: str) -> Iterator[Callable[..., Any]]:
    """
    Give what opens a page below *base*, and waits for its script if it has one; what
    the console said that no test expected fails at the end.
    """
    visits: list[Visit] = []
    with contextlib.ExitStack() as stack:

        def open_page(path: str, **options):
            visit = stack.enter_context(visiting(browser, base + path, **options))
            visits.append(visit)
            if options.get("java_script_enabled", True):
                visit.page.wait_for_selector("html[data-ready]")
            return visit.page

        yield open_page
        errors = [each for visit in visits for each in visit.errors]
    # what the service refuses is an answer, which Chromium tells as an error
    assert [each for each in errors if "Failed to load resource" not in each] == []


def assert_accessible(page) -> None:
    """Fail if axe finds something, or if the page is wider than its window."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    told = [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]
    assert told == []
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
