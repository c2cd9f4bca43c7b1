"""The phone book's page as forms: what comes back, and who may send them."""

import html
import re

import httpx2 as httpx
import pytest

from tests.support.phonebook import number
from tests.support.process import serving

PAGE, CONTACTS = "/phonebook", "/api/v1/contacts"
OURS = {"sec-fetch-site": "same-origin"}
ANN = {"first_name": "Ann", "last_name": "Müller", "number": "030 901820"}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    path = tmp_path_factory.mktemp("book") / "phonebook.sqlite3"
    on = {"phonebook__enabled": True, "phonebook__region": "DE"}
    with serving(phonebook__sqlite_path=path, **on) as service:
        yield service.url


@pytest.fixture
def client(url):
    """A client with a cookie that finds no contacts."""
    with httpx.Client(base_url=url, timeout=60) as found:
        found.get(PAGE)
        yield found
        while items := found.get(CONTACTS, params={"limit": 500}).json()["items"]:
            for each in items:
                assert found.delete(f"{CONTACTS}/{each['id']}").status_code == 204


def hidden(page: str) -> dict[str, str]:
    """Return the hidden fields of the form that changes something."""
    found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page)
    return {name: html.unescape(value) for name, value in found}


def send(client, path, headers=None, **values):
    """Send the form at *path*, as it stands there with *values* in it."""
    filled = hidden(client.get(path).text) | values
    return client.post(path, data=filled, headers=OURS if headers is None else headers)


def added(client, **others):
    """Add a contact by the API; return its place on the page."""
    made = client.post(CONTACTS, json={**ANN, **others})
    return f"{PAGE}/contacts/{made.json()['id']}"


def shown(page) -> list[str]:
    """Return the names of the list."""
    names = re.findall(r'class="name"[^>]*>([^<]*)</a>', page.text)
    return [html.unescape(name) for name in names]


def test_contact_is_added_found_changed_and_deleted(client):
    """Each form leads on to the list by 303, which tells what was done."""
    sent = send(client, f"{PAGE}/new?q=mül", **ANN, note="at\r\nnight", email="")
    assert (sent.status_code, sent.headers["location"][:32]) == (
        303,
        "../phonebook?q=m%C3%BCl&done=add",
    )
    after = client.get(PAGE, params=sent.next_request.url.params)
    assert "Added." in after.text
    assert shown(after) == ["Ann Müller"] * 2  # what was done, and the list

    [contact] = client.get(CONTACTS).json()["items"]
    assert (contact["number"], contact["note"]) == ("+4930901820", "at\nnight")
    place = f"{PAGE}/contacts/{contact['id']}"
    sent = send(client, place, **{**ANN, "last_name": "Lee", "number": "+4930901821"})
    assert sent.status_code == 303
    for q in ("lee", "030 901821", "+49 30 9018", "00493090"):
        assert shown(client.get(PAGE, params={"q": q})) == ["Ann Lee"], q
    for q in ("müller", "030 901820", "%", "1" * 30):
        assert shown(client.get(PAGE, params={"q": q})) == [], q

    assert "This can't be undone." in client.get(f"{place}/delete").text
    assert send(client, f"{place}/delete").status_code == 303
    assert client.get(place).status_code == 404
    assert shown(client.get(PAGE)) == []


def test_wrong_values_come_back_marked_all_at_once(client):
    """What was entered stays; each field tells what is wrong with it."""
    sent = send(client, f"{PAGE}/new", first_name=" ", number="0", email="x", note="n")

    assert sent.status_code == 422
    assert "<title>Error: " in sent.text
    for name in ("last_name", "number", "email"):
        assert f'id="error-{name}"' in sent.text
        described = rf'id="field-{name}"[^>]*error-{name}"[^>]* aria-invalid="true"'
        assert re.search(described, sent.text), name
    assert 'id="error-note"' not in sent.text
    assert 'name="email" value="x"' in sent.text
    assert hidden(sent.text)["once"]


def test_taken_number_leads_to_who_has_it(client):
    """Nothing is saved, and the other contact is a link away."""
    place = added(client)
    sent = send(client, f"{PAGE}/new", **{**ANN, "first_name": "Bob"})

    assert sent.status_code == 409
    assert f'href="..{place}"' in sent.text
    assert 'value="Bob"' in sent.text


def test_lost_update_shows_both_and_is_decided_by_whoever_sends_again(client):
    """The form comes back with what is there now; the second time it is saved."""
    place = added(client)
    form = hidden(client.get(place).text)
    etag = {"If-Match": '"1"'}
    theirs = {**ANN, "last_name": "Lee"}
    api = place.replace(PAGE, "/api/v1")
    assert client.put(api, json=theirs, headers=etag).status_code == 200

    mine = {**form, **ANN, "first_name": "Anna"}
    sent = client.post(place, data=mine, headers=OURS)
    assert sent.status_code == 412
    assert "Now there: <bdi>Lee</bdi>" in sent.text
    assert "Now there: <bdi>Ann</bdi>" in sent.text
    assert 'value="Anna"' in sent.text
    again = client.post(place, data=mine | hidden(sent.text), headers=OURS)

    assert again.status_code == 303
    kept = client.get(api).json()
    assert (kept["first_name"], kept["last_name"]) == ("Anna", "Müller")


def test_deleting_what_has_changed_asks_again(client):
    """The question shows what is there now."""
    place = added(client)
    form = hidden(client.get(f"{place}/delete").text)
    send(client, place, **ANN, note="new")
    sent = client.post(f"{place}/delete", data=form, headers=OURS)

    assert sent.status_code == 412
    assert '<dd dir="auto">new</dd>' in sent.text
    assert client.get(place).status_code == 200


def test_changing_what_is_gone_offers_to_add_it(client):
    """What was entered is not lost."""
    place = added(client)
    form = hidden(client.get(place).text)
    client.delete(place.replace(PAGE, "/api/v1"))
    sent = client.post(place, data={**form, **ANN, "note": "kept"}, headers=OURS)

    assert sent.status_code == 404
    assert 'action="../../phonebook/new"' in sent.text
    assert "kept</textarea>" in sent.text
    values = {**ANN, **hidden(sent.text)}
    assert client.post(f"{PAGE}/new", data=values, headers=OURS).status_code == 303


def test_form_that_is_sent_twice_adds_once(client):
    """A double click, or a browser that sends again, gets the same contact."""
    form = {**hidden(client.get(f"{PAGE}/new").text), **ANN}
    places = [
        client.post(f"{PAGE}/new", data=form, headers=OURS).headers["location"]
        for _ in range(2)
    ]

    assert places[0] == places[1]
    other = client.post(f"{PAGE}/new", data=form | {"first_name": "Bob"}, headers=OURS)
    assert other.status_code == 422
    assert "may have been saved" in other.text
    assert hidden(other.text)["once"] != form["once"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://[", "sec-fetch-site": "cross-site"},
    ],
    ids=str,
)
def test_form_of_another_site_is_refused(client, headers):
    """Whatever token it has: 403 as a page, and nothing is saved."""
    sent = send(client, f"{PAGE}/new", headers=headers, **ANN)

    assert sent.status_code == 403
    assert sent.headers["content-type"] == "text/html; charset=utf-8"
    assert client.get(CONTACTS).json()["items"] == []


def test_origin_is_enough_where_browsers_say_no_more(client, url):
    """Over plain HTTP they leave `Sec-Fetch-Site` out."""
    sent = send(client, f"{PAGE}/new", headers={"origin": url}, **ANN)

    assert sent.status_code == 303


@pytest.mark.parametrize("token", ["", "A" * 32, "ä", "x" * 9000])
def test_form_without_the_token_comes_back_with_it(client, token):
    """Nothing is saved until somebody sends it again."""
    form = {**hidden(client.get(f"{PAGE}/new").text), **ANN, "token": token}
    sent = client.post(f"{PAGE}/new", data=form, headers=OURS)

    assert sent.status_code == 403
    assert 'value="Ann"' in sent.text
    assert client.get(CONTACTS).json()["items"] == []
    values = ANN | hidden(sent.text)
    assert client.post(f"{PAGE}/new", data=values, headers=OURS).status_code == 303


def test_cookie_is_strict_and_hidden_from_scripts(url):
    """It goes along with requests of our own pages alone, and is kept as it is."""
    with httpx.Client(base_url=url, timeout=60) as client:
        first, second = client.get(PAGE), client.get(PAGE)

    assert re.fullmatch(
        r"phonebook=[\w-]{32}; HttpOnly; Path=/; SameSite=Strict",
        first.headers["set-cookie"],
    )
    assert "set-cookie" not in second.headers
    assert first.headers["referrer-policy"] == "same-origin"
    policy = first.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; base-uri 'none'; form-action 'self'")
    assert "unsafe" not in policy


def test_whatever_is_in_a_contact_is_text(client):
    """No name, note, search or value in a form becomes a part of the page."""
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"
    place = added(client, first_name=evil, note=evil, last_name="&amp;")
    pages = [
        client.get(PAGE),
        client.get(PAGE, params={"q": evil}),
        client.get(place, params={"q": evil}),
        client.get(f"{place}/delete", params={"q": evil}),
        send(client, f"{PAGE}/new", first_name=evil, number=evil, email=evil),
        client.get(PAGE, params={"cursor": evil}),
    ]

    for page in pages:
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert re.findall(r"<script(?! type=\"module\" src=)", page.text) == []
        assert "<img src=x" not in page.text
    assert shown(pages[0]) == [f"{evil} &amp;"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"x" * 60_000, "application/x-www-form-urlencoded", 413),
        (b"{}", "application/json", 415),
        (b"--x", "multipart/form-data; boundary=x", 415),
        (b"%ff=%00&first_name=%ed%a0%80", "application/x-www-form-urlencoded", 403),
        (b"a=1&" * 2000, "application/x-www-form-urlencoded", 400),
    ],
    ids=["long", "json", "multipart", "bytes", "fields"],
)
def test_body_that_is_no_form_of_ours_is_refused(client, body, kind, status):
    """A page tells so; nothing breaks."""
    sent = client.post(
        f"{PAGE}/new", content=body, headers={**OURS, "content-type": kind}
    )

    assert sent.status_code == status
    assert sent.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/phonebook?cursor=x", 400),
        ("/phonebook?done=changed&id=x", 200),
        (f"/phonebook?done=changed&id={'0' * 8}-0000-0000-0000-{'0' * 12}", 200),
        (f"/phonebook/contacts/{'0' * 8}-0000-0000-0000-{'0' * 12}", 404),
        ("/phonebook/contacts/x", 404),
        ("/phonebook?q=%00%ff", 200),
    ],
)
def test_strange_addresses_are_answered(client, path, status):
    """What a client makes up is never our failure."""
    assert client.get(path).status_code == status


def test_list_goes_on_page_by_page(client):
    """All contacts are on one of the pages, each once."""
    records = "first_name,number\n" + "".join(
        f"P{place:03},{number(place)}\n" for place in range(120)
    )
    client.post(
        f"{CONTACTS}/import", content=records, headers={"content-type": "text/csv"}
    )
    names, place = [], PAGE
    while place:
        page = client.get(place)
        names += shown(page)
        more = re.search(r'id="more"[^>]*href="([^"]*)"', page.text)
        place = more and f"/{html.unescape(more[1])}"

    assert names == [f"P{place:03}" for place in range(120)]


def test_front_page_links_to_the_phone_book(client):
    """Where it is on."""
    page = client.get("/", headers={"accept": "text/html"})

    assert '<a href="phonebook">' in page.text


def test_store_that_is_away_loses_nothing_that_was_entered():
    """A page that asks again by itself; the form comes back as it was sent."""
    away = {
        "phonebook__enabled": True,
        "phonebook__store": "postgresql",
        "phonebook__postgresql__host": "127.0.0.1",
        "phonebook__postgresql__port": 1,
        "phonebook__postgresql__tls": "disable",
        "phonebook__timeout": 0.3,
    }
    with (
        serving(**away) as service,
        httpx.Client(base_url=service.url, timeout=60) as client,
    ):
        page = client.get(PAGE)
        assert page.status_code == 503
        assert page.headers["refresh"] == page.headers["retry-after"]
        assert "asks again by itself" in page.text

        sent = send(client, f"{PAGE}/new", **ANN | {"number": "+4930901820"})
        assert sent.status_code == 503
        assert 'value="Müller"' in sent.text
        assert "refresh" not in sent.headers
