"""The page of a directory in a real browser, with and without scripts."""

import re
import time

import httpx2 as httpx
import pytest

from tests.support.browser import (
    DESK,
    PHONE,
    assert_accessible,
    expect,
    opening,
)
from tests.support.files import settings
from tests.support.process import serving

pytestmark = pytest.mark.browser

EVIL = "<img src=x onerror=alert(1)> & 'a:b'.txt"
FILES = {
    "2026/sub/deep.txt": b"deep",
    EVIL: b"evil",
    "long-" + "x" * 120 + ".bin": b"1" * 5000,
    "report.pdf": b"%PDF" * 1000,
    "übersicht.txt": b"two",
}
BIG = bytes(range(256)) * 4 * 5000  # 5 MB: several pieces


@pytest.fixture
def api(busy_file_service):
    """The API, where these files are and no others."""
    with httpx.Client(base_url=f"{busy_file_service.url}/files/", timeout=60) as client:
        for path, content in FILES.items():
            assert client.put(place(path), content=content).is_success
        yield client
        clear(client, "")


def place(path):
    return httpx.URL("/").copy_with(path=f"/{path}").raw_path.decode()[1:]


def clear(client, directory):
    for each in client.get(place(directory)).json()["items"]:
        path = directory + each["name"]
        if each["type"] == "directory":
            clear(client, f"{path}/")
        else:
            client.delete(place(path))


@pytest.fixture
def opened(browser, api, busy_file_service):
    """Opens the page; what goes wrong in it that no test expected fails it."""
    with opening(browser, busy_file_service.url) as open_page:
        yield lambda path="/files/", **options: open_page(path, **options)


def names(page):
    return page.locator("#entries .name bdi")


def given(name, content):
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def upload(page, *files):
    page.locator("#file").set_input_files(list(files))
    page.get_by_role("button", name="Upload", exact=True).click()


def line(page, name):
    return page.locator("#uploads li", has_text=name)


@pytest.mark.parametrize(
    "options",
    [DESK, PHONE, {**DESK, "color_scheme": "dark"}],
    ids=["desktop", "phone", "dark"],
)
def test_page_is_accessible_and_fits(opened, tmp_path, options):
    """List, uploads and the question: no violations, nothing sticks out."""
    page = opened(**options, expected=["status of 409"])
    upload(page, given("report.pdf", b"other"), given("new.bin", b"new"))
    expect(line(page, "new.bin")).to_contain_text("uploaded")
    expect(line(page, "report.pdf")).to_contain_text("is there already")
    assert_accessible(page)
    page.screenshot(path=tmp_path / "list.png", full_page=True)

    page.get_by_role("link", name="Delete report.pdf").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert_accessible(page)
    page.screenshot(path=tmp_path / "delete.png")


def test_names_are_text_and_links_lead_there(opened, api):
    """Whatever a file is called: it is shown, and its link leads to it."""
    page = opened()
    expect(names(page)).to_have_text(
        ["2026", EVIL, *(name for name in sorted(FILES) if name[0] in "lrü")]
    )
    href = page.get_by_role("link", name=EVIL, exact=True).get_attribute("href")
    assert api.get(href).content == b"evil"

    page.get_by_role("link", name="2026").click()
    page.get_by_role("link", name="sub").click()
    expect(names(page)).to_have_text(["deep.txt"])
    crumbs = page.get_by_role("navigation", name="Directories")
    crumbs.get_by_role("link", name="Files").click()
    expect(names(page)).to_have_count(len(FILES))


def test_upload_shows_progress_and_replaces_when_told(opened, api):
    """The list follows; a file that is there stays until somebody says so."""
    page = opened(expected=["status of 409"])
    upload(page, given("big ü.bin", BIG), given("report.pdf", b"new"))
    expect(line(page, "big ü.bin")).to_contain_text("uploaded")
    expect(names(page).filter(has_text="big ü.bin")).to_have_count(1)
    assert api.get(place("big ü.bin")).content == BIG
    assert api.get("report.pdf").content == FILES["report.pdf"]

    page.get_by_role("button", name="Replace report.pdf").click()
    expect(line(page, "report.pdf")).to_contain_text("uploaded")
    assert api.get("report.pdf").content == b"new"


def test_upload_that_is_cut_goes_on_by_itself(opened, api):
    """Two pieces get no answer, one though it arrived: nothing is sent twice."""
    page = opened(expected=["ERR_FAILED"])
    seen = []

    def cut(route):
        seen.append(int(route.request.headers["upload-offset"]))
        if len(seen) == 2:
            route.fetch()
        if len(seen) in (2, 3):
            route.abort()
        else:
            route.continue_()

    page.route(
        "**/.uploads/*",
        lambda each: cut(each) if each.request.method == "PATCH" else each.continue_(),
    )
    upload(page, given("big.bin", BIG))
    expect(line(page, "big.bin")).to_contain_text("uploaded")

    assert api.get("big.bin").content == BIG
    assert seen[2] > seen[1]
    assert seen[3] == seen[2]


@pytest.mark.parametrize("left", [False, True], ids=["resumed", "chosen-again"])
def test_upload_that_is_paused_goes_on_where_it_stopped(opened, api, tmp_path, left):
    """Only the rest is sent; also when the page was left, and the file chosen anew."""
    file = tmp_path / "big.bin"
    file.write_bytes(BIG)
    page = opened()
    held = []

    def hold(route):
        if route.request.headers.get("upload-offset", "0") == "0":
            route.continue_()
        else:
            held.append(route)

    page.route("**/.uploads/*", hold)
    upload(page, file)
    end = time.monotonic() + 60
    while not held:
        assert time.monotonic() < end
        page.wait_for_timeout(20)
    page.get_by_role("button", name="Pause big.bin").click()
    expect(line(page, "big.bin")).to_contain_text("paused")
    page.unroute("**/.uploads/*")
    offsets = []
    page.on(
        "request",
        lambda each: (
            offsets.append(each.headers["upload-offset"])
            if each.method == "PATCH"
            else None
        ),
    )
    if left:
        page.reload()
        page.wait_for_selector("html[data-ready]")
        upload(page, file)
    else:
        page.get_by_role("button", name="Resume big.bin").click()
    expect(line(page, "big.bin")).to_contain_text("uploaded")

    assert int(offsets[0]) > 0
    assert api.get("big.bin").content == BIG


def test_cancelled_upload_leaves_nothing(opened, api):
    """The service has thrown away what it had."""
    page = opened()
    urls, held = [], []

    def hold(route):
        urls.append(route.request.url)
        if route.request.method == "PATCH":
            held.append(route)
        else:
            route.continue_()

    page.route("**/.uploads/*", hold)
    upload(page, given("big.bin", BIG))
    end = time.monotonic() + 60
    while not held:
        assert time.monotonic() < end
        page.wait_for_timeout(20)
    with page.expect_response(lambda each: each.request.method == "DELETE") as gone:
        page.get_by_role("button", name="Cancel big.bin").click()

    assert gone.value.status == 204
    expect(page.locator("#uploads li")).to_have_count(0)
    assert httpx.head(urls[0]).status_code == 404
    assert api.get("big.bin").status_code == 404


def test_dropped_file_is_uploaded(opened, api):
    """Anywhere on the page."""
    page = opened("/files/2026/")
    data = page.evaluate_handle(
        "() => { const dropped = new DataTransfer();"
        "dropped.items.add(new File(['drop'], 'drop.txt')); return dropped; }"
    )
    page.dispatch_event("main", "dragover", {"dataTransfer": data})
    expect(page.locator("html.dropping")).to_have_count(1)
    page.dispatch_event("main", "drop", {"dataTransfer": data})
    expect(names(page)).to_have_text(["drop.txt", "sub"])

    assert api.get("2026/drop.txt").content == b"drop"
    expect(page.locator("html.dropping")).to_have_count(0)


def test_keys_lead_along_the_list_and_delete_after_a_question(opened, api):
    """The focus is where one goes on."""
    page = opened()
    page.get_by_role("link", name="2026").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Delete")
    expect(page.get_by_role("link", name="Keep")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name=f"Delete {EVIL}")).to_be_focused()
    page.keyboard.press("Delete")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("#told")).to_contain_text("The file is deleted.")
    expect(names(page)).to_have_count(len(FILES) - 1)
    expect(page.locator("#entries > li:nth-child(2) .name")).to_be_focused()

    assert api.get(place(EVIL)).status_code == 404


def test_file_that_was_replaced_meanwhile_is_asked_about_again(opened, api):
    """Nobody deletes what he has not seen."""
    page = opened(expected=["status of 412"])
    page.get_by_role("link", name="Delete report.pdf").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    api.put("report.pdf", content=b"theirs")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("has replaced this file")
    assert api.get("report.pdf").content == b"theirs"
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("#told")).to_contain_text("The file is deleted.")


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desktop", "phone"])
def test_everything_works_without_scripts(opened, api, tmp_path, size):
    """Upload, the refusal to replace, and deleting with a question."""
    page = opened(
        "/files/2026/",
        java_script_enabled=False,
        **size,
        expected=["status of 409", "status of 404"],
    )
    page.screenshot(path=tmp_path / "plain.png", full_page=True)
    upload(page, given("ü 1.txt", b"one"), given("2.txt", b"two"))
    expect(page.get_by_text("2 files uploaded.")).to_be_visible()
    expect(names(page)).to_have_text(["2.txt", "sub", "ü 1.txt"])
    upload(page, given("3.txt", b"three"), given("2.txt", b"other"))
    expect(page.locator("#form")).to_contain_text("A file of this name is there")
    expect(page.locator("#form")).to_contain_text("kept before it: 1.")
    page.get_by_role("link", name="Back to the directory").click()
    page.get_by_role("link", name="Delete ü 1.txt").click()
    expect(page.get_by_role("heading", name="Delete ü 1.txt?")).to_be_visible()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("The file is deleted.")).to_be_visible()
    expect(names(page)).to_have_text(["2.txt", "3.txt", "sub"])

    assert api.get("2026/2.txt").content == b"two"
    page.goto(page.url.replace("2026", "nothing"))
    expect(page.locator("#form")).to_contain_text("Not Found")


OURS = {"sec-fetch-site": "same-origin", "accept": "text/html"}


def visitor(api):
    """Returns the token of the page's forms, whose cookie the client has."""
    page = api.get("", headers={"accept": "text/html"})
    return re.search(r'name="token" value="([^"]+)"', page.text)[1]


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "same-site"}, True),
        ({"sec-fetch-site": ""}, True),
        ({"origin": "https://evil.example"}, True),
        ({}, False),
    ],
    ids=["cross", "same-site", "nothing", "origin", "token"],
)
def test_form_of_another_site_changes_nothing(api, headers, token):
    """403 as a page, for uploads and for deleting."""
    sent = {**OURS, **headers}
    if "origin" in headers:
        del sent["sec-fetch-site"]
    value = visitor(api) if token else "A" * 32
    etag = api.head("report.pdf").headers["etag"]
    up = api.post(
        "", data={"token": value}, files={"f": ("evil.txt", b"x")}, headers=sent
    )
    gone = api.post(
        "report.pdf?delete", data={"token": value, "version": etag}, headers=sent
    )

    assert (up.status_code, gone.status_code) == (403, 403)
    assert up.headers["content-type"] == "text/html; charset=utf-8"
    assert api.get("evil.txt").status_code == 404
    assert api.get("report.pdf").status_code == 200


def test_programs_get_what_they_did_before(api):
    """JSON without a preference, on the same path; caches keep the two apart."""
    told, page = api.get(""), api.get("", headers={"accept": "text/html"})

    assert told.headers["content-type"] == "application/json"
    assert "accept" in told.headers["vary"].lower()
    assert "accept" in page.headers["vary"].lower()
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "unsafe" not in policy
    assert "onerror=alert(1)>" not in page.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nothing?delete", 404),
        ("GET", "2026/?delete", 400),
        ("GET", "?delete", 400),
        ("GET", "?limit=x", 400),
        ("GET", "?uploaded=x&deleted=%00", 200),
        ("GET", "?uploaded=99999999999999999999", 200),
        ("POST", "report.pdf?delete", 415),
        ("POST", "?delete", 415),
    ],
)
def test_strange_requests_are_answered_with_a_page(api, method, path, status):
    """What a client makes up is never our failure."""
    answer = api.request(method, path, headers=OURS)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_long_form_is_refused(api):
    """The question's answer is short; nothing else is held in memory."""
    body = {"token": "x" * 100_000}

    assert api.post("report.pdf?delete", data=body, headers=OURS).status_code == 413


def test_page_for_readers_offers_no_change(tmp_path):
    """Where nobody may write."""
    (tmp_path / "a.txt").write_text("a")
    with serving(**settings(tmp_path, writers="nobody")) as service:
        page = httpx.get(f"{service.url}/files/", headers={"accept": "text/html"})
        front = httpx.get(service.url, headers={"accept": "text/html"})

    assert ">a.txt</bdi>" in page.text
    assert "<form" not in page.text
    assert "Delete" not in page.text
    assert '<a href="files/">' in front.text
