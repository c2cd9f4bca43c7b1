"""The phone book's page in a real browser, with and without scripts."""

import re

import httpx2 as httpx
import pytest

from tests.support.browser import (
    DESK,
    PHONE,
    assert_accessible,
    expect,
    opening,
)
from tests.support.process import serving

pytestmark = pytest.mark.browser

CONTACTS = "/api/v1/contacts"
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
PEOPLE = [
    ("Ann", "Müller", "+4930901820", "A note"),
    ("Bob", "Lee", "+442071838750", ""),
    ("محمد", "العربي", "+201001234567", "يعمل في الليل"),
    ("山田", "太郎", "+81312345678", ""),
    (EVIL, "", "+353861234567", EVIL),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    path = tmp_path_factory.mktemp("book") / "phonebook.sqlite3"
    with serving(phonebook__enabled=True, phonebook__sqlite_path=path) as running:
        yield running


@pytest.fixture
def api(service):
    """The API, where the people are and nobody else."""
    with httpx.Client(base_url=service.url, timeout=60) as client:
        for first, last, number, note in PEOPLE:
            told = {"first_name": first, "last_name": last}
            told |= {"number": number, "note": note}
            assert client.post(CONTACTS, json=told).status_code == 201
        yield client
        for each in contacts(client, limit=500):
            client.delete(f"{CONTACTS}/{each['id']}")


@pytest.fixture
def opened(browser, api, service):
    """Opens the page; what goes wrong in it that no test expected fails it."""
    with opening(browser, service.url) as open_page:
        yield lambda path="/phonebook", **options: open_page(path, **options)


def contacts(client, **query):
    return client.get(CONTACTS, params=query).json()["items"]


def names(page):
    return page.locator("#contacts .name")


@pytest.mark.parametrize(
    "options",
    [DESK, PHONE, {**DESK, "color_scheme": "dark"}],
    ids=["desktop", "phone", "dark"],
)
def test_page_is_accessible_and_fits(opened, tmp_path, options):
    """List, form, its errors and the undo: no violations, nothing sticks out."""
    page = opened(**options, expected=["status of 422"])
    is_light = "color_scheme" not in options
    if is_light:  # with the undo, the list is looked at in the dark below
        assert_accessible(page)
    page.screenshot(path=tmp_path / "list.png")

    page.get_by_role("link", name="Add a contact").click()
    page.get_by_role("button", name="Add").click()
    expect(page.locator("#error-number")).to_be_visible()
    assert_accessible(page)
    page.screenshot(path=tmp_path / "form.png")

    page.keyboard.press("Escape")
    page.get_by_role("link", name="Delete Bob Lee").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    assert_accessible(page)
    page.screenshot(path=tmp_path / "undo.png")


def test_search_follows_the_keys(opened):
    """The list and the address follow; what is overtaken is given up."""
    page = opened()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_label("Name or number").press_sequentially("mül")
    expect(names(page)).to_have_text(["Ann Müller"])
    expect(page.locator("#told")).to_have_text("1 contact found")

    assert page.url.endswith("/phonebook?q=m%C3%BCl")
    assert len(asked) <= 3
    page.reload()
    expect(names(page)).to_have_text(["Ann Müller"])
    page.get_by_label("Name or number").fill("+44 20")
    expect(names(page)).to_have_text(["Bob Lee"])
    page.get_by_label("Name or number").fill("nobody")
    expect(page.locator("#told")).to_contain_text("No contact has a name")
    page.get_by_label("Name or number").fill("")
    expect(names(page)).to_have_count(len(PEOPLE))
    assert page.url.endswith("/phonebook")


def test_search_that_was_overtaken_is_given_up(opened):
    """The slow answer of an earlier search is waited for no longer."""
    page = opened()
    held = []
    page.route("**/phonebook?q=ann", lambda each: held.append(each))  # noqa: PLW0108 - Playwright marks what it calls
    page.get_by_label("Name or number").fill("ann")
    expect(page.locator("#contacts")).to_have_attribute("aria-busy", "true")
    with page.expect_event("requestfailed") as given_up:
        page.get_by_label("Name or number").fill("bob")

    assert given_up.value.url.endswith("?q=ann")
    expect(names(page)).to_have_text(["Bob Lee"])
    expect(page.locator("#contacts")).not_to_have_attribute("aria-busy", "true")


def test_contact_is_added_and_changed_in_place(opened, api):
    """Errors stand at their fields; the row is where the focus is afterwards."""
    page = opened(expected=["status of 422"])
    page.get_by_role("link", name="Add a contact").click()
    expect(page.get_by_label("First name", exact=True)).to_be_focused()
    page.get_by_label("First name", exact=True).fill("Zoë")
    page.get_by_label("Number", exact=True).fill("12")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Number", exact=True)).to_be_focused()
    expect(page.get_by_label("Number", exact=True)).to_have_accessible_description(
        re.compile("country's code")
    )
    expect(page.get_by_label("First name", exact=True)).to_have_value("Zoë")
    page.get_by_label("Number", exact=True).fill("+33 1 23 45 67 89")
    page.get_by_role("button", name="Add").click()
    row = page.locator("#contacts li", has_text="Zoë")
    expect(row.locator(".name")).to_be_focused()
    expect(page.locator("#told")).to_have_text("Added. Zoë")

    page.keyboard.press("Enter")
    page.get_by_label("Note", exact=True).fill("Line\nand line")
    page.get_by_role("button", name="Save").click()
    expect(row.locator(".note")).to_contain_text("and line")
    expect(row.locator(".name")).to_be_focused()
    [kept] = contacts(api, q="zoe")
    assert (kept["number"], kept["note"]) == ("+33123456789", "Line\nand line")
    assert kept["version"] == 2


def test_deleted_contact_comes_back_as_a_new_one(opened, api):
    """The page says so; the focus goes on along the list."""
    [before] = contacts(api, q="ann")
    page = opened()
    place = names(page).all_inner_texts().index("Ann Müller")
    page.get_by_role("link", name="Delete Ann Müller").click()
    undo = page.locator("#undo")
    expect(undo).to_contain_text("Ann Müller is deleted.")
    expect(names(page).nth(place)).to_be_focused()
    assert contacts(api, q="ann") == []

    page.keyboard.press("Control+z")
    expect(undo).to_contain_text("Ann Müller is back, as a new entry")
    expect(names(page).nth(place)).to_have_text("Ann Müller")
    expect(names(page).nth(place)).to_be_focused()
    expect(names(page)).to_have_count(len(PEOPLE))
    [after] = contacts(api, q="ann")
    own = {"id", "version", "created_at", "updated_at"}
    assert after["id"] != before["id"]
    assert {k: v for k, v in after.items() if k not in own} == {
        k: v for k, v in before.items() if k not in own
    }


def test_undo_that_is_refused_keeps_what_was_deleted(opened, api):
    """Somebody took the number: the form has the values."""
    page = opened(expected=["status of 409"])
    page.get_by_role("link", name="Delete Bob Lee").click()
    expect(page.locator("#undo")).to_contain_text("is deleted")
    api.post(CONTACTS, json={"first_name": "Eve", "number": PEOPLE[1][2]})
    page.get_by_role("button", name="Undo").click()

    expect(page.get_by_label("First name", exact=True)).to_have_value("Bob")
    expect(page.locator("#undo")).to_contain_text("Another contact has this number.")


def test_change_that_somebody_made_meanwhile_is_shown(opened, api):
    """What is there now stands at the fields; the visitor decides."""
    [bob] = contacts(api, q="bob")
    place, etag = f"{CONTACTS}/{bob['id']}", {"If-Match": "*"}
    page = opened(expected=["status of 412"])
    row = page.locator("#contacts li", has_text="Bob")
    row.locator(".name").click()
    page.get_by_label("Note", exact=True).fill("mine")
    api.patch(place, json={"note": "theirs"}, headers=etag)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#now-note")).to_have_text("Now there: theirs")
    page.get_by_role("link", name="Take what is there").click()
    expect(page.get_by_label("Note", exact=True)).to_have_value("theirs")

    page.get_by_label("Note", exact=True).fill("mine")
    api.patch(place, json={"note": "theirs again"}, headers=etag)
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Keep mine").click()
    expect(row.locator(".note")).to_have_text("mine")
    assert api.get(place).json()["note"] == "mine"

    api.patch(place, json={"note": "new"}, headers=etag)
    row.get_by_role("link", name="Delete").click()
    expect(page.locator("#undo")).to_contain_text("was not deleted: somebody has")
    expect(row.locator(".note")).to_have_text("new")
    row.get_by_role("link", name="Delete").click()
    expect(row).to_have_count(0)


def test_page_waits_while_the_store_is_away(opened, api):
    """It says so, asks again by itself, and saves once what was entered."""
    page = opened(expected=["status of 503"])
    refusing = Refusing()
    page.route("**/phonebook?q=bob", refusing.answer)
    page.get_by_label("Name or number").fill("bob")
    expect(page.locator("#state")).to_have_text("no answer, trying again")
    refusing.over = True
    expect(names(page)).to_have_text(["Bob Lee"])
    expect(page.locator("#state")).to_be_empty()

    refusing = Refusing(method="POST", reaching=True)
    page.route("**/phonebook/new", refusing.answer)
    page.get_by_role("link", name="Add a contact").click()
    page.get_by_label("First name", exact=True).fill("Zoë")
    page.get_by_label("Number", exact=True).fill("+33 1 23 45 67 89")
    page.get_by_role("button", name="Add").click()
    expect(page.locator(".waiting")).to_contain_text("Trying again")
    refusing.over = True
    expect(page.locator("#told")).to_have_text("Added. Zoë")
    assert len(contacts(api, q="zoe")) == 1


class Refusing:
    """Answers 503 until it is over; *reaching*: though the service did what it got."""

    def __init__(self, *, method="GET", reaching=False):
        self.method, self.reaching, self.over = method, reaching, False

    def answer(self, route):
        if route.request.method != self.method or self.over:
            route.continue_()
            return
        if self.reaching:
            route.fetch(max_redirects=0)
        route.fulfill(status=503, headers={"retry-after": "1"}, body="")


def test_keys_do_what_the_page_says(opened):
    """From the search into the list, back, and to forms; letters can be let alone."""
    page = opened()
    page.keyboard.press("/")
    expect(page.get_by_label("Name or number")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(names(page).nth(0)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(names(page).nth(1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_label("Name or number")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("n")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(names(page).nth(0)).to_be_focused()
    page.keyboard.press("Delete")
    expect(page.locator("#undo")).to_contain_text("is deleted")
    expect(names(page)).to_have_count(len(PEOPLE) - 1)

    page.get_by_label("Listen to").uncheck()
    page.keyboard.press("n")
    page.keyboard.press("/")
    expect(page.get_by_label("Listen to")).to_be_focused()
    page.reload()
    expect(page.get_by_label("Listen to")).not_to_be_checked()


def test_list_grows_and_files_come_in(opened):
    """An import tells what became of it; more contacts come below, with the focus."""
    page = opened()
    records = "first_name,number\n" + "".join(
        f"P{place:02},+1555{place:07}\n" for place in range(60)
    )
    text = (records + "Bad,1\n").encode()
    file = {"name": "c.csv", "mimeType": "text/csv", "buffer": text}
    page.locator("#file").set_input_files(file)
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.locator("#imported")).to_contain_text("60 added, 0 skipped")
    expect(page.locator("#imported li")).to_contain_text("line 62, number")
    expect(page.locator("#told")).to_have_text("The first 50 contacts")
    page.get_by_role("link", name="More").click()
    expect(names(page)).to_have_count(60 + len(PEOPLE))
    expect(names(page).nth(50)).to_be_focused()
    expect(page.get_by_role("link", name="More")).to_have_count(0)
    assert len(set(names(page).all_inner_texts())) == 60 + len(PEOPLE)


def test_names_of_any_script_stand_as_they_are_written(opened):
    """Text of contacts is text; names from right to left begin at the right."""
    page = opened()
    dialogs = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message) or dialog.dismiss())

    expect(page.get_by_role("link", name=EVIL, exact=True)).to_be_visible()
    arabic = page.get_by_role("link", name="محمد العربي", exact=True)
    assert arabic.evaluate("e => getComputedStyle(e).direction") == "rtl"
    arabic.click()
    note = page.get_by_label("Note", exact=True)
    assert note.evaluate("e => getComputedStyle(e).direction") == "rtl"
    page.keyboard.press("Escape")
    page.get_by_role("link", name=f"Delete {EVIL}").click()
    expect(page.locator("#undo")).to_contain_text(f"{EVIL} is deleted.")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#undo")).to_contain_text(f"{EVIL} is back")
    assert page.locator("#main img, #main script").count() == 0
    assert dialogs == []


def test_page_works_without_scripts(opened, api, tmp_path):
    """Search, add with an error, edit and delete, by links and forms alone."""
    page = opened(java_script_enabled=False, **PHONE, expected=["status of 422"])
    assert page.locator("#file").is_hidden()
    page.get_by_role("link", name="Add a contact").click()
    page.get_by_label("First name", exact=True).fill(EVIL)
    page.get_by_label("Number", exact=True).fill("+1")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_label("Number", exact=True)).to_have_attribute(
        "aria-invalid", "true"
    )
    page.screenshot(path=tmp_path / "form.png", full_page=True)
    page.get_by_label("First name", exact=True).fill("Zoë")
    page.get_by_label("Number", exact=True).fill("+33 1 23 45 67 89")
    page.get_by_role("button", name="Add").click()
    expect(page.locator("#done")).to_contain_text("Added.")
    page.screenshot(path=tmp_path / "added.png", full_page=True)

    page.get_by_label("Name or number").fill("zoe")
    page.get_by_role("button", name="Search").click()
    names(page).click()
    page.get_by_label("Last name", exact=True).fill("Durand")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Name or number")).to_have_value("zoe")
    expect(names(page)).to_have_text(["Zoë Durand"])
    page.locator("#contacts").get_by_role("link", name="Delete").click()
    page.screenshot(path=tmp_path / "delete.png", full_page=True)
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#told")).to_contain_text("No contact has a name")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert contacts(api, q="zoe") == []
