"""The log by HTTP, as a running service: records, pages, refusals and permissions."""

import json

import httpx2 as httpx
import pytest

from tests.support.log_http import RECORDS, body, decoded, produce
from tests.support.log_service import PORT, channel, consume_all, serving_log
from tests.support.scrape import await_value

TOKENS = {"writer": "w" * 16, "reader": "r" * 16}
PERMISSIONS = {
    "writer": {"produce": ["records"]},
    "reader": {"consume": ["records"]},
}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    directory = tmp_path_factory.mktemp("log")
    with serving_log(
        directory,
        http__enabled="true",
        policy__max_record_bytes=65_536,
        policy__max_batch_bytes=131_072,
        streams='["records","other"]',
    ) as running:
        yield running


@pytest.fixture
def client(service):
    with httpx.Client(base_url=service.url, timeout=20) as found:
        yield found


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    directory = tmp_path_factory.mktemp("listed")
    with serving_log(
        directory,
        http__enabled="true",
        access="listed",
        tokens=json.dumps(TOKENS),
        permissions=json.dumps(PERMISSIONS),
    ) as running:
        yield running


def bearer(name):
    return {"authorization": f"Bearer {TOKENS[name]}"}


def test_record_is_stored_where_its_location_says(client):
    """Value, key and headers come back, by the location and by the short path."""
    sent = body(b"\x00\xff", "key", [("name", "a"), ("name", b"\xfe")])

    answer = client.post(RECORDS, json=sent)
    found = client.get(answer.headers["location"])

    assert answer.status_code == 201
    offset = answer.json()["offset"]
    assert found.json().items() >= sent.items()
    assert found.json()["offset"] == offset
    assert client.get(f"{RECORDS}/{offset}").content == found.content


async def test_record_of_http_is_that_of_grpc(client, service):
    """Both sides serve the same log."""
    offset = produce(client, "over HTTP")

    async with channel(service.ports[PORT]) as stub:
        found = await consume_all(stub, offset)

    assert [each.value for each in found] == [b"over HTTP"]


def test_batch_is_stored_in_its_order(client):
    """The answer has the offset of the first; a page has all of them."""
    first = produce(client, "a", "b", "c")

    page = client.get(RECORDS, params={"from": first, "limit": 2}).json()
    rest = client.get(RECORDS, params={"from": page["next_from"]}).json()

    assert [decoded(each) for each in page["records"]] == [b"a", b"b"]
    assert [decoded(each) for each in rest["records"]] == [b"c"]
    assert rest["next_from"] == rest["next"] == first + 3
    end = client.get(RECORDS, params={"from": "next"})
    assert end.json()["records"] == []


def test_streams_have_offsets_of_their_own(client):
    """A stream is a path; the default one has a short one too."""
    other = client.post("/log/streams/other/records", json=body("there"))

    offsets = client.get("/log/streams/other/offsets").json()
    told = client.get("/log/offsets", params={"timestamp_ms": 0}).json()

    assert other.headers["location"].startswith("/log/streams/other/records/")
    assert offsets["next"] == other.json()["offset"] + 1
    assert told["stream"] == "records"
    assert told["offset_at_timestamp"] == 0
    unknown = client.get("/log/streams/none/offsets")
    assert (unknown.status_code, unknown.json()["reason"]) == (404, "unknown_stream")


def test_record_may_be_kept_by_caches(client):
    """It never changes: caches keep it, and ask by its tag."""
    path = f"{RECORDS}/{produce(client, 'kept')}"
    first = client.get(path)

    again = client.get(path, headers={"if-none-match": first.headers["etag"]})

    assert "immutable" in first.headers["cache-control"]
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", [f"{RECORDS}/999999", f"{RECORDS}?from=999999"])
def test_offset_past_the_end_is_not_found(client, path):
    """The problem tells which records there are, in the caller's language."""
    answer = client.get(path, headers={"accept-language": "zh"})

    problem = answer.json()
    assert answer.status_code == 404
    assert problem["reason"] == "offset_out_of_range"
    assert problem["lowest"] == 0
    assert problem["next"] == client.get("/log/offsets").json()["next"]
    assert answer.headers["content-language"] == "zh-CN"


def test_offset_that_is_no_longer_kept_is_gone(tmp_path):
    """410 tells retention from what has not come yet."""
    with (
        serving_log(
            tmp_path,
            http__enabled="true",
            policy__segment_bytes=4096,
            policy__retention_bytes=8192,
        ) as service,
        httpx.Client(base_url=service.url, timeout=20) as client,
    ):
        for _ in range(8):
            produce(client, "x" * 3000)
        one = client.get(f"{RECORDS}/0")
        follow = client.get(f"{RECORDS}/follow", params={"from": 0})

    assert one.status_code == follow.status_code == 410
    assert 0 < one.json()["lowest"] < one.json()["next"] == 8


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"content": b"{"}, 400),
        ({"content": b'{"value":"","value":""}'}, 400),
        ({"content": b"\xff"}, 400),
        ({"content": b"[]"}, 422),
        ({"content": b"{}"}, 422),
        ({"content": b'{"value":1}'}, 422),
        ({"content": b'{"value":"a"}'}, 422),
        ({"content": '{"value":"ä"}'.encode()}, 422),
        ({"content": b'{"value":"","more":1}'}, 422),
        ({"content": b'{"value":"","key":[]}'}, 422),
        ({"content": b'{"value":"","headers":{}}'}, 422),
        ({"content": b'{"value":"","headers":[{"name":"a"}]}'}, 422),
        ({"content": b'{"value":"","headers":[{"name":1,"value":""}]}'}, 422),
        ({"content": b'{"records":[]}'}, 422),
        ({"content": b'{"records":[{}]}'}, 422),
        ({"content": b'{"records":{}}'}, 422),
        ({"json": {"records": [body("")] * 1001}}, 422),
        ({"json": body("", headers=[("n" * 70_000, "")])}, 422),
        ({"json": body("x" * 70_000)}, 413),
        ({"json": body("x" * 300_000)}, 413),
        ({"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
        ({"content": b"{}", "headers": {"content-type": ""}}, 415),
    ],
)
def test_request_that_is_no_record_stores_nothing(client, sent, status):
    """Each mistake is a 4xx problem, and the log is as before."""
    before = client.get("/log/offsets").json()
    headers = sent.get("headers", {"content-type": "application/json"})

    answer = client.post(RECORDS, **{**sent, "headers": headers})

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/log/offsets").json() == before


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{RECORDS}?from=-1", 422),
        (f"{RECORDS}?from={'9' * 30}", 422),
        (f"{RECORDS}?limit=0", 422),
        (f"{RECORDS}?limit=1001", 422),
        (f"{RECORDS}/{'9' * 5000}", 422),
        (f"{RECORDS}/x", 404),
        (f"{RECORDS}/follow?from=x", 422),
        ("/log/offsets?timestamp_ms=-1", 422),
        ("/log?before=x", 422),
        ("/log?stream=none", 404),
    ],
)
def test_question_that_means_nothing_is_refused(client, path, status):
    """A clear 4xx, never a 500."""
    assert client.get(path).status_code == status


def test_same_key_stores_once(client):
    """The second answer is that of the first; another request may not have the key."""
    headers = {"idempotency-key": "once-1"}
    first = client.post(RECORDS, json=body("once"), headers=headers)

    second = client.post(RECORDS, json=body("once"), headers=headers)
    other = client.post(RECORDS, json=body("other"), headers=headers)

    assert second.json() == first.json()
    assert second.headers["idempotent-replayed"] == "true"
    assert other.status_code == 422
    assert client.get("/log/offsets").json()["next"] == first.json()["offset"] + 1


def test_tokens_decide_who_may_do_what(listed):
    """401 without a known token, 403 where it may not, as by gRPC."""
    with httpx.Client(base_url=listed.url, timeout=20) as client:
        stored = client.post(RECORDS, json=body("a"), headers=bearer("writer"))
        answers = [
            client.post(RECORDS, json=body("a")),
            client.post(RECORDS, json=body("a"), headers={"authorization": "Bearer x"}),
            client.post(RECORDS, json=body("a"), headers=bearer("reader")),
            client.get(f"{RECORDS}/0", headers=bearer("writer")),
            client.get(f"{RECORDS}/follow", headers=bearer("writer")),
            client.get(f"{RECORDS}/0", headers=bearer("reader")),
            client.get("/log/offsets", headers=bearer("writer")),
        ]

    assert stored.status_code == 201
    found = [each.status_code for each in answers]
    assert found == [401, 401, 403, 403, 403, 200, 200]
    assert answers[0].headers["www-authenticate"].startswith("Bearer")
    assert answers[2].json()["reason"] == "permission_denied"
    assert "private" in answers[5].headers["cache-control"]


def test_cookie_of_the_page_stores_nothing_by_the_api(listed):
    """Browsers send cookies along with what other sites' pages ask for."""
    cookie = {"cookie": f"log_token={TOKENS['writer']}"}

    answer = httpx.post(listed.url + RECORDS, json=body("a"), headers=cookie)

    assert answer.status_code == 401


def test_guesses_of_tokens_are_slowed_down(tmp_path):
    """An address that sends wrong ones must wait, as by gRPC."""
    with serving_log(
        tmp_path, http__enabled="true", access="listed", tokens=json.dumps(TOKENS)
    ) as service:
        wrong = {"authorization": "Bearer wrong"}
        with httpx.Client(base_url=service.url, headers=wrong) as client:
            answers = [client.get("/log/offsets") for _ in range(30)]
    late = [each for each in answers if each.status_code == 429]

    # one more may be tried every six seconds
    assert {each.status_code for each in answers[:10]} == {401}
    assert answers[-1] in late
    assert all(int(each.headers["retry-after"]) > 0 for each in late)


def test_log_by_http_is_off_until_it_is_switched_on(tmp_path):
    """The gRPC listener alone opens nothing on the public port."""
    with serving_log(tmp_path) as service:
        answers = [httpx.get(service.url + path) for path in ("/log", RECORDS)]

    assert [each.status_code for each in answers] == [404, 404]


def test_refusals_and_records_are_counted(client, service):
    """By reason, and with those of gRPC by stream."""
    client.get(f"{RECORDS}/999999")
    produce(client, "counted")

    refused = 'httpserver_commitlog_http_refusals_total{reason="offset_out_of_range"}'
    moved = 'httpserver_commitlog_records_total{action="produce",stream="records"}'
    await_value(service, refused, 1)
    await_value(service, moved, 1)
