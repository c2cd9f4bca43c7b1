"""
Bodies that other servers stumble over: every one is a 4xx problem without an echo.

The rows are the traps that FastAPI and Python's JSON reader set. Each goes to a core
handler, to a typed route with a model, and to one that reads the request by itself.
"""

import gzip
import json
from enum import Enum
from functools import cache
from typing import Annotated, Literal
from uuid import UUID

import pytest
from fastapi import APIRouter, Body, Depends, FastAPI, Form, Header, Request
from pydantic import BaseModel, ConfigDict, Field

from service.server.routes import Route
from service.server.typed_routes import TypedRoutes
from tests.support.asgi import application, client

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nSECRET\r\n--b--\r\n'

OK = '{"a": 1}'.encode

MALFORMED = {
    "not JSON": b"{SECRET}",
    "60 000 nested lists": b"[" * 60_000,
    "65 nested members": b'{"a":' * 65 + b"1" + b"}" * 65,
    "not UTF-8": b'{"a":"\xff\xfe"}',
    "gzip bytes": gzip.compress(b'{"a": 1}'),
    "5 000 digits": b'{"a":' + b"9" * 5_000 + b"}",
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}',
    "1e400": b'{"a":1e400}',
    "a lone surrogate": b'{"a":"SECRET\\ud800"}',
    "a lone surrogate as a name": b'{"\\udfffSECRET":1}',
    "a name twice": b'{"a":1,"a":2}',
    "a name twice, deeper": b'{"a":1,"b":[{"SECRET":1,"SECRET":2}]}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-16 without a mark": '{"a": 1}'.encode("utf-16-le"),
    "UTF-32": '{"a": 1}'.encode("utf-32-le"),
    "a byte order mark": b"\xef\xbb\xbf" + OK(),
    "two values": b'{"a":1} {"a":1}',
    "half a value": b'{"a":',
    "a control character": b'{"a":"\x00"}',
    "single quotes": b"{'a':1}",
    "a comment": b'{"a":1} // SECRET',
    "spaces alone": b"   ",
}
"""No strict JSON: 400 wherever it is read."""

MISFITS = {
    "a boolean": b'{"a":true}',
    "a number in quotes": b'{"a":"1"}',
    "a float": b'{"a":1.0}',
    "text": b'{"a":"SECRET"}',
    "null": b'{"a":null}',
    "no object": b'["SECRET"]',
    "no member": b'{"SECRET":1}',
    "one member more": b'{"a":1,"SECRET":1}',
    "a UUID that is none": b'{"a":1,"id":"SECRET"}',
    "a tag that is none": b'{"a":1,"pet":{"kind":"SECRET"}}',
    "a name of the client": b'{"a":1,"many":{"SECRET":"x"}}',
    "a choice that is none": b'{"a":1,"size":"SECRET"}',
    "a thousand errors": b'{"a":1,"row":[' + b'"SECRET",' * 1_000 + b"1]}",
}
"""JSON that does not fit the model: 422 where there is one."""

TYPES = {
    "a form": (FORM, b"a=SECRET", ""),
    "a multipart form": (MULTIPART, PART, ""),
    "text": ("text/plain", OK(), ""),
    "almost JSON": ("application/jsonp", OK(), ""),
    "no type at all": ("", OK(), ""),
    "gzip": (JSON, gzip.compress(OK()), "gzip"),
    "a coding that is none": (JSON, OK(), "SECRET"),
}
"""Content type, body and content coding that are 415."""


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Size(Enum):
    BIG = "big"


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")

    a: int
    id: UUID | None = None
    size: Size = Size.BIG
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    many: dict[str, int] = {}
    row: list[int] = []


@cache
def service():
    async def core(ctx):
        return ctx.ok(await ctx.read_json())

    typed = TypedRoutes(title="t", version="1")
    router = APIRouter()

    @router.post("/model")
    async def model(item: Item):
        return item

    @router.post("/embedded")
    async def embedded(item: Annotated[Item, Body(embed=True)]):
        return item

    @typed.api.post("/request")
    async def request(request: Request):
        return await request.json()

    @typed.api.post("/form")
    async def form(a: Annotated[str, Form()]):
        return a

    @typed.api.post("/optional")
    async def optional(item: Item | None = None):
        return item

    @typed.api.post("/bounded")
    async def bounded(number: Annotated[int, Body(gt=3)]):
        return number

    @typed.api.post("/bytes")
    async def raw(data: Annotated[bytes, Body(media_type="text/plain")]):
        return len(data)

    typed.api.include_router(router, dependencies=[Depends(lambda: None)])
    app = application(Route(path="/core", handler=core, methods=("POST",)))
    app._body_limit = lambda: 1_000_000
    app.add(*typed.routes())
    return app


async def send(path, body, kind=JSON, coding="", more=None):
    headers = {"content-type": kind, "content-encoding": coding} | (more or {})
    kept = {name: value for name, value in headers.items() if value}
    return await client(service()).post(path, content=body, headers=kept)


def refused(answer, status):
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert "SECRET" not in answer.text
    assert len(answer.content) < 4_000
    return answer


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("path", ["/core", "/model", "/embedded", "/request"])
async def test_malformed_json_is_a_bad_request_everywhere(path, body):
    """Core handler or typed route, with a model or without: 400."""
    refused(await send(path, body), 400)


@pytest.mark.parametrize("body", MISFITS.values(), ids=MISFITS)
async def test_json_that_does_not_fit_is_unprocessable(body):
    """Nothing is converted to fit; place and kind are told, not the input."""
    answer = refused(await send("/model", body), 422)

    assert 1 <= len(answer.json()["errors"]) <= 20
    assert answer.json()["errors"][0]["loc"][0] == "body"


@pytest.mark.parametrize(("kind", "body", "coding"), TYPES.values(), ids=TYPES)
async def test_body_of_another_kind_is_unsupported(kind, body, coding):
    """415 tells which type, or that no coding, is taken."""
    answer = refused(await send("/model", body, kind, coding), 415)
    told = {
        name: answer.headers[name]
        for name in ("accept", "accept-encoding")
        if name in answer.headers
    }

    assert told == ({"accept-encoding": "identity"} if coding else {"accept": JSON})
    if kind:
        refused(await send("/core", body, kind, coding), 415)


@pytest.mark.parametrize(
    ("path", "kind", "body", "value"),
    [
        ("/core", JSON, b'{"a":18446744073709551616}', {"a": 2**64}),
        ("/model", JSON, b'{"a":18446744073709551616}', {"a": 2**64}),
        ("/model", "application/json; charset=utf-8", OK(), {"a": 1}),
        ("/model", "application/merge-patch+json", OK(), {"a": 1}),
        ("/embedded", JSON, b'{"item":{"a":1,"pet":{"kind":"cat"}}}', {"a": 1}),
        ("/request", JSON, b'{"a":[1.5,"\\ud83d\\ude00"]}', {"a": [1.5, "\U0001f600"]}),
        ("/form", FORM, b"a=1", "1"),
        ("/form", MULTIPART, PART, "SECRET"),
        ("/optional", "", b"", None),
        ("/optional", JSON, b"null", None),
        ("/bounded", JSON, b"4", 4),
        ("/bytes", "text/plain", b"\xff", 1),
    ],
)
async def test_body_that_fits_is_taken(path, kind, body, value):
    """Strictness costs nothing that is right."""
    answer = await send(path, body, kind)

    assert answer.status_code == 200
    if isinstance(value, dict):
        assert answer.json() | value == answer.json()
    else:
        assert answer.json() == value


@pytest.mark.parametrize(
    ("path", "kind", "body", "status"),
    [
        ("/model", JSON, b"", 422),
        ("/model", "", b"", 422),
        ("/bounded", JSON, b"3", 422),
        ("/form", JSON, b'{"a":"SECRET"}', 422),
        ("/form", "multipart/form-data", b"SECRET", 400),
        ("/form", MULTIPART, b"--b\r\nSECRET", 422),
        ("/form", FORM, b"b=SECRET", 422),
    ],
)
async def test_other_bodies_that_do_not_fit_are_refused(path, kind, body, status):
    """FastAPI's own refusals have the same form."""
    refused(await send(path, body, kind), status)


async def test_pieces_make_one_body():
    """A body is checked as a whole, however it is cut."""

    async def pieces(body):
        for byte in body:
            yield bytes([byte])

    assert (await send("/model", pieces(b'{"a": 1}'))).status_code == 200
    refused(await send("/model", pieces(b'{"a": NaN}')), 400)
    refused(await send("/model", pieces(b'{"a": true}')), 422)


async def test_wrong_parameter_is_told_without_its_value():
    """Queries and headers are the client's too; a name it made up is not repeated."""

    class Filter(BaseModel):
        model_config = ConfigDict(extra="forbid")
        limit: int = 1

    typed = TypedRoutes(title="t", version="1")

    @typed.api.get("/")
    async def read(q: Annotated[Filter, Depends()], x: Annotated[int, Header()]):
        return [q, x]

    app = application()
    app.add(*typed.routes())
    answer = await client(app).get("/?limit=SECRET", headers={"x": "SECRET"})

    refused(answer, 422)
    assert sorted(each["loc"] for each in answer.json()["errors"]) == [
        ["header", "x"],
        ["query", "limit"],
    ]


async def test_body_of_a_mounted_application_is_checked_too():
    """What another application reads is strict JSON as well."""
    sub = FastAPI()

    @sub.post("/x")
    async def x(item: dict[str, float]):
        return item

    typed = TypedRoutes(title="t", version="1")
    typed.api.mount("/sub", sub)
    app = application()
    app.add(*typed.routes())
    headers = {"content-type": JSON}
    fine = await client(app).post("/sub/x", content=b'{"a":1}', headers=headers)
    bad = await client(app).post("/sub/x", content=b'{"a":NaN}', headers=headers)

    assert fine.json() == json.loads('{"a":1}')
    assert bad.status_code == 400
