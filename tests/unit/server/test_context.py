"""The request context reads requests and writes answers."""

import datetime as dt

import pytest

from service.server.responses import status_phrase
from service.server.routes import Route
from tests.support.asgi import application, client


def answering(handler):
    return client(handler)


WRITERS = {
    "ok": (lambda ctx: ctx.ok({"a": 1}), 200, {"a": 1}),
    "ok without a value": (lambda ctx: ctx.ok(), 200, None),
    "created": (
        lambda ctx: ctx.created({"id": 7}, location="/things/7"),
        201,
        {"id": 7},
    ),
    "accepted": (lambda ctx: ctx.accepted(), 202, None),
    "accepted with a value": (lambda ctx: ctx.accepted({"job": 1}), 202, {"job": 1}),
    "no content": (lambda ctx: ctx.no_content(), 204, None),
    "status": (lambda ctx: ctx.write_status(206), 206, None),
}

PROBLEMS = {
    "bad request": (lambda ctx: ctx.bad_request("no name"), 400, "no name"),
    "unauthorized": (lambda ctx: ctx.unauthorized("who?"), 401, "who?"),
    "forbidden": (lambda ctx: ctx.forbidden("not you"), 403, "not you"),
    "not found": (lambda ctx: ctx.not_found(), 404, None),
    "conflict": (lambda ctx: ctx.conflict("is there"), 409, "is there"),
    "status": (lambda ctx: ctx.write_status(418), 418, None),
    "internal error": (
        lambda ctx: ctx.internal_error(),
        500,
        "The service failed; its log has the cause.",
    ),
}


@pytest.mark.parametrize(("write", "status", "body"), WRITERS.values(), ids=WRITERS)
async def test_status_writer_writes_status_and_body(write, status, body):
    """Each common status has a writer."""

    async def handler(ctx):
        return write(ctx)

    answer = await answering(handler).get("/")

    assert answer.status_code == status
    assert (answer.json() if answer.content else None) == body
    assert ("content-length" in answer.headers) is (status != 204)


@pytest.mark.parametrize(("write", "status", "detail"), PROBLEMS.values(), ids=PROBLEMS)
async def test_error_writer_writes_a_problem(write, status, detail):
    """Errors are problem documents with title, status, detail and request id."""

    async def handler(ctx):
        return write(ctx)

    answer = await answering(handler).get("/", headers={"x-request-id": "r1"})
    expected = {
        "type": "about:blank",
        "title": status_phrase(status),
        "status": status,
        "instance": "urn:request:r1",
    }

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == (expected | {"detail": detail} if detail else expected)


async def test_unauthorized_names_the_scheme():
    """The client learns how to authenticate (RFC 9110 §15.5.2)."""

    async def handler(ctx):
        return ctx.unauthorized("who?", scheme="Basic")

    answer = await answering(handler).get("/")

    assert answer.headers["www-authenticate"] == "Basic"


@pytest.mark.parametrize(
    ("location", "sent"),
    [
        ("/a b", "/a%20b"),
        ("/ä?q=ö", "/%C3%A4?q=%C3%B6"),
        ("/a\r\nset-cookie: x=1", "/a%0D%0Aset-cookie:%20x=1"),
        ("https://example.com/x%20y", "https://example.com/x%20y"),
    ],
)
async def test_location_can_not_split_the_answer(location, sent):
    """Whatever a handler puts into a location stays one header."""

    async def handler(ctx):
        return ctx.redirect(location)

    answer = await answering(handler).get("/", follow_redirects=False)

    assert (answer.status_code, answer.headers["location"]) == (307, sent)


async def test_text_and_html_have_their_types():
    """Text is UTF-8, and what UTF-8 can't hold is replaced."""

    async def text(ctx):
        return ctx.write_text("grüß\ud800")

    async def html(ctx):
        return ctx.write_html("<p>hi</p>", headers={"x-a": "1"})

    plain = await answering(text).get("/")
    page = await answering(html).get("/")

    assert plain.content == "grüß?".encode()
    assert plain.headers["content-type"] == "text/plain; charset=utf-8"
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["x-a"] == "1"


async def test_query_headers_and_path_are_read():
    """Everything of the request line and the head is at hand."""

    async def handler(ctx):
        return ctx.ok(
            {
                "path": ctx.path,
                "id": ctx.path_params["id"],
                "route": ctx.route,
                "tags": ctx.query.getlist("tag"),
                "agent": ctx.headers["User-Agent"],
                "client": ctx.client,
            }
        )

    app = application(Route(path="/things/{id}", handler=handler))
    async with client(app) as http:
        answer = await http.get(
            "/things/a%2Fb?tag=1&tag=2", headers={"user-agent": "test"}
        )
        plain = await http.get("/things/7?tag=%C3%A4", headers={"user-agent": "t"})

    assert answer.status_code == 404  # a slash is a slash, however it is written
    assert plain.json() == {
        "path": "/things/7",
        "id": "7",
        "route": "/things/{id}",
        "tags": ["ä"],
        "agent": "t",
        "client": "127.0.0.1",
    }


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b'{"a": [1]}', 200),
        ("application/merge-patch+json", b'{"a": [1]}', 200),
        ("", b'{"a": [1]}', 200),
        ("text/plain", b'{"a": [1]}', 415),
        ("application/json", b"{", 400),
        ("application/json", b"1" * 2000, 413),
    ],
)
async def test_json_is_read_by_its_type(content_type, body, status):
    """JSON is read as JSON, everything else is told apart."""

    async def handler(ctx):
        first = await ctx.read_json()
        assert await ctx.read_json() == first  # a body may be read again
        return ctx.ok(first)

    headers = {"content-type": content_type} if content_type else {}
    answer = await answering(handler).post("/", content=body, headers=headers)

    assert answer.status_code == status


async def test_forms_are_read_by_their_type():
    """Both kinds of forms are read; what is none is 415, what is broken 400."""

    async def handler(ctx):
        form = await ctx.read_form()
        return ctx.ok({name: str(form[name]) for name in form})

    http = answering(handler)
    encoded = await http.post("/", data={"name": "ann"})
    multipart = await http.post("/", files={"name": (None, "ann")})
    none = await http.post("/", json={"name": "ann"})
    broken = await http.post(
        "/", content=b"--x", headers={"content-type": "multipart/form-data"}
    )

    assert encoded.json() == multipart.json() == {"name": "ann"}
    assert (none.status_code, broken.status_code) == (415, 400)


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**4000])
async def test_integers_beyond_64_bits_are_written(number):
    """What a strict reader takes in can go out again, beside dates and the like."""
    day = dt.date(2026, 1, 2)

    async def handler(ctx):
        return ctx.ok({"n": number, "day": day, "text": "ä", "none": None})

    answer = await answering(handler).get("/")

    assert answer.content == (
        f'{{"n":{number},"day":"2026-01-02","text":"ä","none":null}}'.encode()
    )


async def test_value_without_a_json_form_is_our_failure():
    """What JSON can't hold is the service's error, told without the cause."""

    async def handler(ctx):
        return ctx.ok({"n": 2**80, "what": object()})

    answer = await answering(handler).get("/")

    assert answer.status_code == 500
    assert "cause" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("coding", "status"),
    [("gzip", 415), ("GZIP, br", 415), ("x", 415), ("identity", 200), ("", 200)],
)
async def test_compressed_body_is_refused_with_what_is_taken(coding, status):
    """Nothing is unpacked: the client learns to send the body as it is."""

    async def handler(ctx):
        return ctx.ok(await ctx.read_text())

    headers = {"content-encoding": coding}
    answer = await answering(handler).post("/", content=b"x", headers=headers)

    assert answer.status_code == status
    refused = status == 415
    assert answer.headers.get("accept-encoding") == ("identity" if refused else None)
