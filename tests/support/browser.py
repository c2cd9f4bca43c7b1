"""Chromium for tests, launched once a module, and tabs that note what goes wrong."""

import contextlib
import shutil
from collections.abc import Iterator

import pytest

__all__ = ["CHROMIUM", "Visit", "launched", "visiting"]

CHROMIUM = shutil.which("chromium")

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
