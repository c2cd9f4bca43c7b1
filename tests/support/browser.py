"""
Chromium for tests, launched once a module, and tabs that note what goes wrong.

Modules that import this one are skipped where there is no Playwright, and their tests
of a browser where there is no Chromium.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

__all__ = [
    "DESK",
    "PHONE",
    "Visit",
    "assert_accessible",
    "expect",
    "launched",
    "opening",
    "visiting",
]

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
expect = playwright.expect

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

PATIENCE = 60_000
"""Milliseconds that a condition of a page may take, on busy machines too."""

INTERRUPTED = "ERR_NETWORK_CHANGED"
"""What Chromium says when an interface of the machine comes or goes meanwhile."""


@contextlib.contextmanager
def launched() -> Iterator:
    """Run Chromium until the block ends; the test is skipped where there is none."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium on PATH")
    expect.set_options(timeout=PATIENCE)
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()
    expect.set_options(timeout=None)


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
    context.set_default_timeout(PATIENCE)
    try:
        visit = Visit(context.new_page())
        visit.page.goto(url)
        yield visit
    finally:
        context.close()


@contextlib.contextmanager
def opening(browser, base: str) -> Iterator[Callable[..., Any]]:
    """
    Give what opens a page below *base*, and waits for its script if it has one.

    What goes wrong in a page fails at the end, unless the page was opened with it as
    `expected`: pieces of messages, such as the status of an answer, each of which has
    to be seen.
    """
    visits: list[tuple[Visit, set[str]]] = []
    with contextlib.ExitStack() as stack:

        def open_page(path: str, *, expected: Iterable[str] = (), **options):
            visit = stack.enter_context(visiting(browser, base + path, **options))
            visits.append((visit, set(expected)))
            if options.get("java_script_enabled", True):
                visit.page.wait_for_selector("html[data-ready]")
            return visit.page

        yield open_page
    for visit, expected in visits:
        seen = {_known(each, expected) for each in visit.errors}
        assert seen == expected, seen ^ expected


def _known(error: str, expected: set[str]) -> str:
    """Return what of *expected* the error is, or else itself."""
    return next((each for each in expected if each in error), error)


def assert_accessible(page) -> None:
    """Fail if axe finds something, or if the page is wider than its window."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    told = [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]
    assert told == []
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
