"""The phone book through the real process: REST, import, export, plain paths."""

import csv
import io
import json

import httpx2 as httpx
import pytest

from tests.support.phonebook import number
from tests.support.process import serving

CONTACTS = "/api/v1/contacts"
ANN = {"first_name": "Ann", "last_name": "Müller", "number": "+49 30 901820"}


def settings(folder) -> dict[str, object]:
    path = folder / "phonebook.sqlite3"
    return {"phonebook__enabled": True, "phonebook__sqlite_path": path}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    others = {"phonebook__region": "DE", "phonebook__plain_paths": True}
    with serving(**settings(tmp_path_factory.mktemp("book")), **others) as service:
        yield service.url


@pytest.fixture
def client(url):
    """A client that finds no contacts."""
    with httpx.Client(base_url=url, timeout=60) as found:
        yield found
        while items := found.get(CONTACTS, params={"limit": 500}).json()["items"]:
            for each in items:
                assert found.delete(f"{CONTACTS}/{each['id']}").status_code == 204


def test_contact_lives_from_post_to_delete(client):
    """Each step answers with the contact, its place and its version."""
    made = client.post(CONTACTS, json=ANN)
    place = made.headers["location"]

    assert made.status_code == 201
    assert made.json()["number"] == "+4930901820"
    assert made.headers["etag"] == '"1"'
    assert client.get(place).json() == made.json()
    known = client.get(place, headers={"If-None-Match": '"1"'})
    assert (known.status_code, known.content) == (304, b"")
    put = client.put(
        place, json={**ANN, "last_name": "Lee"}, headers={"If-Match": '"1"'}
    )
    assert (put.status_code, put.json()["version"]) == (200, 2)
    changes = {"note": "at night", "first_name": None}
    patch = client.patch(
        place,
        content=json.dumps(changes),
        headers={"If-Match": '"2"', "content-type": "application/merge-patch+json"},
    )
    assert (patch.status_code, patch.headers["etag"]) == (200, '"3"')
    assert (patch.json()["note"], patch.json()["first_name"]) == ("at night", "")
    assert client.delete(place, headers={"If-Match": '"3"'}).status_code == 204
    assert client.get(place).status_code == 404


def test_lost_update_is_refused(client):
    """A change needs the version that it was made from."""
    place = client.post(CONTACTS, json=ANN).headers["location"]

    def changed(**headers: str) -> int:
        return client.put(place, json=ANN, headers=headers).status_code

    assert changed() == 428
    assert changed(**{"If-Match": '"2"'}) == 412
    assert changed(**{"If-Match": 'W/"1"'}) == 412
    assert changed(**{"If-Match": '"7", "1"'}) == 200
    assert changed(**{"If-Match": "*"}) == 200
    assert client.delete(place, headers={"If-Match": '"1"'}).status_code == 412


def test_taken_number_is_409(client):
    """The same number in another form is the same number."""
    client.post(CONTACTS, json=ANN)
    again = client.post(CONTACTS, json={**ANN, "number": "030 901820"})

    assert again.status_code == 409
    assert again.headers["content-type"] == "application/problem+json"


def test_first_contact_warns_of_nothing(tmp_path):
    """What libraries think of models that are built late is no matter of the log."""
    with serving(**settings(tmp_path)) as service:
        assert httpx.post(service.url + CONTACTS, json=ANN).status_code == 201
    assert not [line for line in service.log if line["level"] != "info"]


def test_same_idempotency_key_adds_once(client):
    """The second answer is the first one, marked."""
    key = {"Idempotency-Key": '"one"'}
    first = client.post(CONTACTS, json=ANN, headers=key)
    second = client.post(CONTACTS, json=ANN, headers=key)

    assert second.status_code == 201
    assert second.json() == first.json()
    assert second.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    other = client.post(CONTACTS, json={**ANN, "number": number(9)}, headers=key)
    assert other.status_code == 422


def test_pages_lead_to_each_other(client):
    """`next` goes through all contacts, and keeps the question."""
    for place in range(5):
        values = {"first_name": f"N{place}", "number": number(place)}
        assert client.post(CONTACTS, json=values).status_code == 201
    found, where = [], f"{CONTACTS}?limit=2&sort=-number"
    while where:
        page = client.get(where).json()
        found += [each["first_name"] for each in page["items"]]
        where = page["next"]

    assert found == ["N4", "N3", "N2", "N1", "N0"]
    assert len(client.get(CONTACTS, params={"q": "n"}).json()["items"]) == 5
    assert len(client.get(f"{CONTACTS}?number=+1555*").json()["items"]) == 5
    exact = client.get(CONTACTS, params={"number": number(3)}).json()["items"]
    assert [each["first_name"] for each in exact] == ["N3"]
    # a plus that is not escaped means a space
    assert client.get(f"{CONTACTS}?number={number(3)}").json()["items"] == exact


@pytest.mark.parametrize(
    ("query", "status"),
    [
        pytest.param({"cursor": "x"}, 400, id="no-cursor"),
        pytest.param({"cursor": "W10"}, 400, id="empty-cursor"),
        pytest.param({"cursor": "WyJhIiwgMV0"}, 400, id="other-cursor"),
        pytest.param({"cursor": "A" * 5000}, 400, id="long-cursor"),
        pytest.param({"cursor": "\u00e4"}, 400, id="cursor-not-ascii"),
        pytest.param({"limit": "0"}, 422, id="limit"),
        pytest.param({"sort": "id"}, 422, id="sort"),
        pytest.param({"q": "a", "sort": "name"}, 422, id="sorted-search"),
        pytest.param({"q": "x" * 201}, 422, id="long-search"),
        pytest.param({"number": "secretive"}, 422, id="number"),
        pytest.param({"number": "*"}, 422, id="empty-prefix"),
        pytest.param({"q": "a\0b'; DROP TABLE contacts --"}, 200, id="injection"),
        pytest.param({"q": "%_*\\"}, 200, id="signs"),
    ],
)
def test_strange_question_gets_a_plain_answer(client, query, status):
    """Nothing breaks, and nothing is echoed."""
    answer = client.get(CONTACTS, params=query)

    assert answer.status_code == status
    assert "secretive" not in answer.text


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"number": number(1)}, id="no-name"),
        pytest.param({"first_name": "A"}, id="no-number"),
        pytest.param({"first_name": "A", "number": "secretive"}, id="no-digits"),
        pytest.param({"first_name": "A", "number": "+49"}, id="short"),
        pytest.param({"first_name": "A", "number": "+4930901820 ext. 5"}, id="ext"),
        pytest.param({"first_name": "A", "number": 15550100}, id="no-text"),
        pytest.param({"first_name": "A" * 101, "number": number(1)}, id="long"),
        pytest.param({"first_name": "A\0", "number": number(1)}, id="nul"),
        pytest.param({"first_name": "A\u202eB", "number": number(1)}, id="direction"),
        pytest.param({"first_name": "A\x1b[2J", "number": number(1)}, id="terminal"),
        pytest.param(
            {"first_name": "A", "number": number(1), "email": "secretive"}, id="mail"
        ),
        pytest.param({"first_name": "A", "number": number(1), "secretive": 1}, id="no"),
    ],
)
def test_wrong_values_are_422_without_an_echo(client, values):
    """What is wrong is told by its place alone; nothing is kept."""
    answer = client.post(CONTACTS, json=values)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secretive" not in answer.text
    assert client.get(CONTACTS).json()["items"] == []


def test_unknown_ids_are_404(client):
    """Whatever stands in the place of an id."""
    for each in ("x", "0" * 36, "01a1fe0e-d4bb-79d6-ac50-8342e5f2dfda", "'--"):
        assert client.get(f"{CONTACTS}/{each}").status_code == 404, each


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_export_can_be_imported(client, kind):
    """What goes out comes in again, every character of it."""
    note = 'a "quoted", note\nof two lines; =1+1'
    client.post(CONTACTS, json={**ANN, "note": note, "email": "ann@example.org"})
    for place in range(3):
        client.post(CONTACTS, json={"first_name": "N", "number": number(place)})
    exported = client.get(f"{CONTACTS}/export", params={"format": kind})
    before = client.get(CONTACTS).json()["items"]
    for each in before:
        client.delete(f"{CONTACTS}/{each['id']}")
    media = exported.headers["content-type"]
    result = client.post(
        f"{CONTACTS}/import", content=exported.content, headers={"content-type": media}
    )

    assert result.json() == {"added": 4, "skipped": 0, "refused": 0, "errors": []}
    after = client.get(CONTACTS).json()["items"]
    same = ("first_name", "last_name", "number", "email", "note")
    assert [[e[n] for n in same] for e in after] == [[e[n] for n in same] for e in before]  # fmt: skip  # noqa: E501 - one comparison


def test_import_tells_what_it_leaves_out(client):
    """Wrong records are told by line, taken numbers counted, the rest is kept."""
    client.post(CONTACTS, json=ANN)
    rows = [f"N{place},{number(place)}" for place in range(600)]
    rows[1:1] = ["X,1", "too,many,cells", "Ann,030901820"]
    body = "\r\n".join(["first_name,number", *rows])
    result = client.post(
        f"{CONTACTS}/import", content=body, headers={"content-type": "text/csv"}
    ).json()

    assert (result["added"], result["skipped"], result["refused"]) == (600, 1, 2)
    assert [each["line"] for each in result["errors"]] == [3, 4]
    assert client.get("/status").text == "Total entries: 601\n"
    exported = client.get(f"{CONTACTS}/export?format=csv").text
    assert len(list(csv.reader(io.StringIO(exported, newline="")))) == 602


@pytest.mark.parametrize(
    ("media", "body", "status"),
    [
        pytest.param("text/plain", b"", 415, id="media-type"),
        pytest.param("text/csv", b"number\n\xff", 400, id="encoding"),
        pytest.param("text/csv", b"x" * 30_000, 400, id="long-line"),
        pytest.param("application/jsonl", b"[]\n{\n1\n\n", 200, id="no-objects"),
        pytest.param("text/csv", b"a,b\n1,2\n", 200, id="no-head"),
        pytest.param("text/csv", b'number\n"' + b"\n" * 9000, 200, id="open-quote"),
    ],
)
def test_broken_import_adds_nothing(client, media, body, status):
    """Nothing breaks, nothing is kept."""
    answer = client.post(
        f"{CONTACTS}/import", content=body, headers={"content-type": media}
    )

    assert answer.status_code == status
    if status == 200:
        assert answer.json()["added"] == 0
        assert answer.json()["refused"] > 0
    assert client.get("/status").text == "Total entries: 0\n"


def test_vcards_fold_and_escape(client):
    """A vCard has no line above 75 octets and no bare semicolon in a value."""
    client.post(CONTACTS, json={**ANN, "note": "ä;" * 90 + "\nend"})
    text = client.get(f"{CONTACTS}/export?format=vcard").content
    whole = text.replace(b"\r\n ", b"").decode()

    assert all(len(line) <= 75 for line in text.split(b"\r\n"))
    assert "NOTE:" + "ä\\;" * 90 + "\\nend\r\n" in whole
    assert "TEL;VALUE=uri:tel:+4930901820\r\n" in whole


def test_plain_paths_answer_in_text(client):
    """The simple client's day."""
    inserted = client.get("/insert/Ann/M%C3%BCller/+4930901820")

    assert inserted.text == "New record added successfully\n"
    assert client.get("/insert/Ann/Lee/030901820").status_code == 409
    assert client.get("/list").text == "Ann Müller +4930901820\n"
    assert client.get("/status").text == "Total entries: 1\n"
    assert client.get("/search/030901820").text == "Ann Müller +4930901820\n"
    assert client.head("/delete/030901820").status_code == 200
    assert client.get("/delete/030901820").text == "+4930901820 deleted!\n"
    assert client.get("/search/030901820").status_code == 404
    assert client.get("/search/x").status_code == 422


def test_operations_are_measured_and_described(url, client):
    """The OpenAPI document has the routes and their examples."""
    document = client.get("/openapi.json").json()

    assert {CONTACTS, f"{CONTACTS}/{{contact_id}}"} <= {*document["paths"]}
    schemas = document["components"]["schemas"]
    assert schemas["ContactValues"]["examples"][0]["last_name"] == "Müller"


def test_phone_book_is_off_by_default():
    """Without its setting nothing is there, nor is a database made."""
    with serving() as service:
        assert httpx.get(service.url + CONTACTS).status_code == 404
        assert httpx.get(service.url + "/list").status_code == 404
        metrics = httpx.get(service.admin_url + "/metrics").text
        assert "phonebook" not in metrics


def test_vcards_can_be_imported(client):
    """Cards of telephones, with a photo longer than any line may be."""
    photo = "A" * 100_000
    body = (
        f"BEGIN:VCARD\r\nVERSION:3.0\r\nPHOTO;ENCODING=b:{photo}\r\nN:Müller;Ann\r\n"
        "TEL:030 901820\r\nTEL;TYPE=pref:030 901821\r\nEND:VCARD\r\n"
        "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Nobody\r\nEND:VCARD\r\n"
    )
    answer = client.post(
        f"{CONTACTS}/import", content=body, headers={"content-type": "text/vcard"}
    )

    wrong = {"line": 8, "field": "number", "reason": "it is missing"}
    told = {"added": 1, "skipped": 0, "refused": 1, "errors": [wrong]}
    assert answer.json() == told
    [contact] = client.get(CONTACTS).json()["items"]
    assert (contact["first_name"], contact["last_name"]) == ("Ann", "Müller")
    assert (contact["number"], contact["note"]) == ("+4930901821", "Tel: 030 901820")


def test_exported_vcards_can_be_imported(client):
    """What goes out comes in again."""
    client.post(CONTACTS, json={**ANN, "note": "a, b;\n" * 40})
    [before] = client.get(CONTACTS).json()["items"]
    exported = client.get(f"{CONTACTS}/export?format=vcard")
    client.delete(f"{CONTACTS}/{before['id']}")
    media = exported.headers["content-type"]
    client.post(
        f"{CONTACTS}/import", content=exported.content, headers={"content-type": media}
    )

    [after] = client.get(CONTACTS).json()["items"]
    same = ("first_name", "last_name", "number", "email", "note")
    assert [after[name] for name in same] == [before[name] for name in same]


def test_dry_run_tells_and_changes_nothing(client):
    """What would be added, skipped and refused."""
    client.post(CONTACTS, json=ANN)
    body = "first_name,number\nA,030901820\nB,030901821\nC,030901821\n" + "D,x\n" * 3
    kind = {"content-type": "text/csv"}
    where = f"{CONTACTS}/import?dry_run=true&errors=2"
    result = client.post(where, content=body, headers=kind).json()

    assert (result["added"], result["skipped"], result["refused"]) == (1, 2, 3)
    assert [each["line"] for each in result["errors"]] == [5, 6]
    assert client.get(f"{CONTACTS}/status").json() == {"contacts": 1}
    long = "errors=000000001" + "0" * 5000
    for wrong in ("dry_run=1", "errors=x", "errors=1001", long):
        answer = client.post(f"{CONTACTS}/import?{wrong}", content=body, headers=kind)
        assert answer.status_code == 400
