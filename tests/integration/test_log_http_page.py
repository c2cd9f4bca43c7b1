"""The log's page in a real browser, with and without scripts, and as forms."""

import json
import re

import httpx2 as httpx
import pytest

from tests.support.browser import (
    DESK,
    PHONE,
    assert_accessible,
    expect,
    opening,
    visiting,
)
from tests.support.log_http import RECORDS, body, produce
from tests.support.log_service import serving_log

pytestmark = pytest.mark.browser

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
TOKEN = "t" * 16


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    directory = tmp_path_factory.mktemp("log")
    streams = '["records","keyed","plain"]'
    with serving_log(directory, http__enabled="true", streams=streams) as running:
        with httpx.Client(base_url=running.url) as client:
            produce(client, "a line", EVIL, b"\x00\xff", "x" * 3000, "", "مرحبا")
        yield running


@pytest.fixture
def opened(browser, service):
    """Opens the page; what goes wrong in it that no test expected fails it."""
    with opening(browser, service.url) as open_page:
        yield lambda path="/log", **options: open_page(path, **options)


def values(page):
    return page.locator("#records .value")


def store(service, *sent, stream="records"):
    path = f"{service.url}/log/streams/{stream}/records"
    assert httpx.post(path, json={"records": list(sent)}).status_code == 201


@pytest.mark.parametrize(
    "options",
    [DESK, PHONE, {**DESK, "color_scheme": "dark"}],
    ids=["desktop", "phone", "dark"],
)
def test_page_is_accessible_and_fits(opened, service, options):
    """With text, markup, bytes and long values: nothing sticks out, nothing runs."""
    page = opened(**options)
    expect(page.locator("#state")).to_have_text("Following")
    store(service, body(EVIL, EVIL, [("name", b"\xff")]))
    expect(page.locator("#records .key").first).to_have_text(f"key {EVIL}")

    assert_accessible(page)


def test_records_are_shown_alike_from_the_service_and_the_script(opened, service):
    """What comes later looks as it will after a reload."""
    page = opened("/log?stream=keyed")
    expect(page.locator("#state")).to_have_text("Following")
    store(
        service,
        body(EVIL, "ключ", [("a", "b"), ("bin", b"\x80")]),
        body(b"\x00\x01" * 300, b"\xff"),
        body(""),
        body("ö" * 700),
        body("a\u202eb"),
        stream="keyed",
    )
    expect(page.locator("#records > li")).to_have_count(5)
    live = page.locator("#records").inner_text()
    links = page.locator("#records a").evaluate_all("all => all.map(a => a.href)")
    page.reload()

    assert page.locator("#records").inner_text() == live
    assert links == page.locator("#records a").evaluate_all(
        "all => all.map(a => a.href)"
    )


def test_paused_page_goes_on_where_it_was(opened, service):
    """Nothing moves while it is paused; then all comes, in its order."""
    page = opened()
    expect(page.locator("#state")).to_have_text("Following")
    page.get_by_role("button", name="Pause").click()
    before = values(page).count()
    store(service, body("one"), body("two"))
    expect(page.locator("#state")).to_have_text("Paused")
    assert values(page).count() == before

    page.get_by_role("button", name="Resume").click()

    expect(values(page).first).to_have_text("two")
    expect(values(page).nth(1)).to_have_text("one")


def test_key_chooses_what_is_shown_and_followed(opened, service):
    """Of what was there and of what comes."""
    store(service, body("first", "mine"), body("other", "else"))
    page = opened()
    page.get_by_label("Only with the key").fill("mine")
    page.get_by_role("button", name="Show").click()
    expect(values(page)).to_have_text(["first"])
    expect(page.locator("#state")).to_have_text("Following")

    store(service, body("hidden"), body("second", "mine"))

    expect(values(page)).to_have_text(["second", "first"])


@pytest.mark.parametrize("with_scripts", [True, False])
@pytest.mark.parametrize("options", [DESK, PHONE], ids=["desktop", "phone"])
def test_form_adds_a_record(opened, options, with_scripts):
    """As it was typed, once, on top of the list."""
    page = opened("/log?stream=plain", java_script_enabled=with_scripts, **options)
    text = f"two\nlines {with_scripts}"
    page.get_by_label("Value").fill(text)
    page.get_by_role("button", name="Add to").click()

    expect(page.get_by_text("Stored at offset")).to_be_visible()
    expect(values(page).first).to_have_text(text)


def test_page_works_by_links_without_scripts(opened, service):
    """Older records, and back to the end."""
    store(service, *(body(f"n{each}") for each in range(60)), stream="plain")
    page = opened("/log?stream=plain", java_script_enabled=False, **PHONE)
    expect(values(page)).to_have_count(50)
    expect(values(page).first).to_have_text("n59")

    page.get_by_role("link", name="Older").click()
    expect(values(page).first).to_have_text("n9")
    page.get_by_role("link", name="To the end").click()
    expect(values(page).first).to_have_text("n59")
    expect(page.get_by_role("link", name="Look again")).to_be_visible()


def test_page_says_what_it_left_out(browser, tmp_path):
    """Records that went by retention while it was paused are told as missing."""
    settings = {"policy__segment_bytes": 4096, "policy__retention_bytes": 8192}
    with serving_log(tmp_path, http__enabled="true", **settings) as service:
        store(service, body("first"))
        with visiting(browser, service.url + "/log") as visit:
            page = visit.page
            expect(page.locator("#state")).to_have_text("Following")
            page.get_by_role("button", name="Pause").click()
            for _ in range(8):
                store(service, body("x" * 3000))
            page.get_by_role("button", name="Resume").click()

            expect(page.locator("#skipped")).to_contain_text("left out here")
            expect(page.locator("#state")).to_have_text("Following")


def test_front_page_leads_to_the_log(opened):
    """Where the log is served."""
    page = opened("/", java_script_enabled=False)
    page.get_by_role("link", name="Log", exact=True).click()
    expect(page).to_have_title(re.compile("records"))


@pytest.fixture
def client(service):
    with httpx.Client(base_url=service.url, timeout=20) as found:
        yield found


def token_of(client):
    page = client.get("/log").text
    return re.search(r'name="token" value="([^"]+)"', page)[1]


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({}, None),
        ({"origin": "https://evil.example"}, None),
        ({"sec-fetch-site": "cross-site"}, None),
        ({"sec-fetch-site": "same-origin"}, "x" * 32),
        ({"sec-fetch-site": "same-origin"}, ""),
    ],
)
def test_form_of_another_site_stores_nothing(client, headers, token):
    """The origin must be ours, and the token that of the cookie."""
    before = client.get("/log/offsets").json()
    fields = {"value": "forged", "token": token_of(client) if token is None else token}

    answer = client.post("/log", data=fields, headers=headers)

    assert answer.status_code == 403
    assert client.get("/log/offsets").json() == before


def test_page_of_a_log_with_permissions_asks_for_a_token(browser, tmp_path):
    """A wrong one is asked for again; a right one reads, adds and follows."""
    with serving_log(
        tmp_path,
        http__enabled="true",
        access="listed",
        tokens=json.dumps({"app": TOKEN, "reader": "r" * 16}),
        permissions='{"app":{"produce":["*"],"consume":["*"]},"reader":{"consume":["*"]}}',
    ) as service:
        bearer = {"authorization": f"Bearer {TOKEN}"}
        httpx.post(service.url + RECORDS, json=body("there"), headers=bearer)
        with visiting(browser, service.url + "/log", **PHONE) as visit:
            page = visit.page
            assert_accessible(page)
            page.get_by_label("Token").fill("wrong")
            page.get_by_role("button", name="Go on").click()
            page.get_by_label("Token").fill(TOKEN)
            page.get_by_role("button", name="Go on").click()
            expect(values(page)).to_have_text(["there"])
            expect(page.locator("#state")).to_have_text("Following")
            page.get_by_label("Value").fill("added")
            page.get_by_role("button", name="Add to").click()
            expect(values(page)).to_have_text(["added", "there"])
            cookies = {each["name"]: each for each in page.context.cookies()}
            assert cookies["log_token"]["httpOnly"]
            assert cookies["log_token"]["sameSite"] == "Strict"

        cookie = {"cookie": f"log_token={'r' * 16}"}
        reading = httpx.get(service.url + "/log", headers=cookie).text
        assert "there" in reading
        assert "Add a record" not in reading
