"""FastAPI's routes on our tree: decorators, routers, mounts, models, problems."""

import logging

import pytest
from fastapi import APIRouter, FastAPI, HTTPException
from pydantic import BaseModel

from service.server.application import Application
from service.server.route_tree import RouteConflictError
from service.server.routes import Route
from service.server.typed_routes import Context, TypedRoutes
from tests.support.asgi import application, client


async def hello(ctx):
    return ctx.write_text("hello")


async def test_same_core_and_typed_route_is_refused():
    """A typed route that a core route hides is a mistake, told at the start."""
    typed = TypedRoutes(title="t", version="1")
    typed.api.get("/a/{x}")(hello)
    app = application(Route(path="/a/{y}", handler=hello))

    with pytest.raises(RouteConflictError):
        app.add(*typed.routes())


async def chunks(pieces):
    for piece in pieces:
        yield piece


class Item(BaseModel):
    amount: int


def typed_app() -> tuple[Application, FastAPI]:
    typed = TypedRoutes(title="test", version="1")
    api = typed.api

    @api.get("/typed/{id:int}")
    async def by_id(id: int, ctx: Context):  # noqa: A002
        return {"id": id, "request_id": ctx.request_id, "route": ctx.route}

    @api.post("/items", status_code=201)
    async def items(item: Item) -> Item:
        return item

    @api.get("/boom")
    async def boom():
        raise RuntimeError("secret detail")

    @api.get("/teapot")
    async def teapot():
        raise HTTPException(418, "short", headers={"x-pot": "1"})

    @api.get("/sync")
    def sync():
        return "threaded"

    router = APIRouter(prefix="/inner")

    @router.get("/{name}")
    async def inner(name: str):
        return name

    outer = APIRouter(prefix="/outer")
    outer.include_router(router)
    api.include_router(outer, prefix="/v1")
    sub = FastAPI()
    sub.get("/deep")(lambda: "mounted")
    api.mount("/sub", sub)
    app = application(Route(path="/hello", handler=hello, summary="Say hello"))
    app.add(*typed.routes())
    typed.describe(app.routes)
    return app, api


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/typed/7", 200),
        ("HEAD", "/typed/7", 200),
        ("GET", "/typed/x", 404),
        ("DELETE", "/typed/7", 405),
        ("GET", "/sync", 200),
        ("GET", "/v1/outer/inner/ann", 200),
        ("GET", "/sub/deep", 200),
        ("GET", "/sub/nope", 404),
        ("GET", "/teapot", 418),
        ("GET", "/boom", 500),
        ("GET", "/openapi.json", 200),
        ("GET", "/typed/7/", 308),
    ],
)
async def test_typed_routes_answer_through_the_tree(method, path, status):
    """FastAPI's decorators, routers and mounts work over the tree."""
    app, _api = typed_app()
    async with client(app) as http:
        response = await http.request(method, path)

    assert response.status_code == status
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "secret" not in response.text


async def test_typed_handler_has_the_context_as_a_dependency():
    """A FastAPI handler reads the request context."""
    app, _api = typed_app()
    async with client(app) as http:
        response = await http.get("/typed/7", headers={"x-request-id": "r1"})

    assert response.json() == {
        "id": 7,
        "request_id": "r1",
        "route": "/typed/{id:int}",
    }


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"amount": 3}', 201),
        (b'{"amount": "SECRET"}', 422),
        (b'{"amount": NaN}', 400),
        (b'{"amount": 1e400}', 400),
        (b'{"amount": "\\ud800"}', 400),
        (b'{"SECRET": {', 400),
        (b"\xff", 400),
        (b"[" * 60_000, 413),
    ],
)
async def test_wrong_body_of_a_typed_route_is_a_problem_without_an_echo(body, status):
    """Validation tells where and what, never the client's own input."""
    app, _api = typed_app()
    headers = {"content-type": "application/json"}
    async with client(app) as http:
        content = body if isinstance(body, bytes) else chunks(body)
        response = await http.post("/items", content=content, headers=headers)

    assert response.status_code == status
    if status >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        assert "SECRET" not in response.text


async def test_openapi_names_typed_and_core_routes():
    """One document describes both kinds of routes."""
    app, _api = typed_app()
    async with client(app) as http:
        document = (await http.get("/openapi.json")).json()

    assert document["paths"]["/hello"]["get"]["summary"] == "Say hello"
    assert {"/typed/{id}", "/items", "/v1/outer/inner/{name}"} <= set(document["paths"])


async def test_dependency_overrides_work_as_ever():
    """FastAPI's testing seam is kept."""
    typed = TypedRoutes(title="t", version="1")

    async def who():
        return "real"

    from fastapi import Depends

    @typed.api.get("/who")
    async def handler(name: str = Depends(who)):
        return name

    typed.api.dependency_overrides[who] = lambda: "fake"
    app = application()
    app.add(*typed.routes())
    async with client(app) as http:
        assert (await http.get("/who")).json() == "fake"


async def test_failure_is_logged_once_with_the_request_id(caplog):
    """The log has the cause, once."""
    app, _api = typed_app()
    with caplog.at_level(logging.ERROR):
        async with client(app) as http:
            await http.get("/boom", headers={"x-request-id": "r1"})

    assert len(caplog.records) <= 1
