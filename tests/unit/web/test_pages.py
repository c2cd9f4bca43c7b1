"""The pages and their files, as a browser asks for them."""

import re

import pytest

from service.app import create_app
from service.server.routes import Route
from service.settings import FanOutSettings, Settings
from service.web import Pages
from tests.support.asgi import application, client


@pytest.fixture
def browser():
    pages = Pages()
    return client(application(Route(path="/", handler=pages.front), *pages.routes()))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/docs", "text/html; charset=utf-8"),
        ("/assets/style.css", "text/css; charset=utf-8"),
        ("/assets/page.js", "text/javascript; charset=utf-8"),
        ("/assets/favicon.svg", "image/svg+xml"),
        ("/favicon.ico", "image/svg+xml"),
    ],
)
async def test_file_has_its_type_and_is_not_sent_twice(browser, path, kind):
    """The second time the tag matches, and 304 has no body."""
    first = await browser.get(path)
    second = await browser.get(path, headers={"if-none-match": first.headers["etag"]})

    assert first.headers["content-type"] == kind
    assert first.headers["cache-control"] == "no-cache"
    assert first.content
    assert second.status_code == 304
    assert second.headers["etag"] == first.headers["etag"]
    assert second.content == b""


@pytest.mark.parametrize("enabled", [True, False])
async def test_front_page_links_to_the_fan_out_where_it_is_on(enabled):
    """A link that leads nowhere is none; the tag tells the two pages apart."""
    settings = Settings(fan_out=FanOutSettings(enabled=enabled))
    http = client(create_app(settings))
    page = await http.get("/", headers={"accept": "text/html"})

    assert ('href="fan-out"' in page.text) is enabled
    assert 'href="docs"' in page.text


@pytest.mark.parametrize("tag", ['W/{}, "x"', '"x", {}', "*"])
async def test_tags_match_as_lists_and_weakly(browser, tag):
    """Proxies weaken tags and browsers send several."""
    etag = (await browser.get("/docs")).headers["etag"]
    headers = {"if-none-match": tag.format(etag)}

    assert (await browser.get("/docs", headers=headers)).status_code == 304


async def test_other_tag_gets_the_file(browser):
    """What changed is sent anew."""
    answer = await browser.get("/docs", headers={"if-none-match": '"old"'})

    assert answer.status_code == 200


@pytest.mark.parametrize("name", ["none.css", "..%2fpages.py", "%2e%2e", "%00"])
async def test_what_is_no_file_of_the_pages_is_not_found(browser, name):
    """No name leads out of the folder."""
    assert (await browser.get(f"/assets/{name}")).status_code == 404


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_page_names_only_files_that_are_there(browser, path):
    """Every file of a page is served by this service."""
    text = (await browser.get(path)).text
    named = re.findall(r'(?:src|href)="(assets/[^"]+)"', text)

    assert named
    for file in named:
        assert (await browser.get(f"/{file}")).status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_page_has_nothing_inline_and_nothing_from_elsewhere(browser, path):
    """It works under `default-src 'self'` and without a way out."""
    text = (await browser.get(path)).text

    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\bstyle=|\bon\w+=", text)
    assert "//" not in text.replace("<!doctype html>", "")
