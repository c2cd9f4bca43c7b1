"""The way of a request: routing rules, streams, static files."""

import asyncio

import pytest

from service.server import handlers
from service.server.application import Application
from service.server.delivery import deliver
from service.server.responses import StreamResponse
from service.server.routes import Route
from tests.support.asgi import application, client
from tests.support.memory_connection import MemoryConnection, request


async def hello(ctx):
    return ctx.write_text("hello")


# -- routing rules -------------------------------------------------------------


async def test_head_answers_as_get_without_a_body():
    """HEAD tells the length and sends nothing."""
    async with client(application(Route(path="/hello", handler=hello))) as http:
        response = await http.head("/hello")

    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == "5"


async def test_options_and_405_name_the_methods():
    """What a path answers is told, automatically."""
    app = application(Route(path="/a", handler=hello, methods=("GET", "PUT")))
    async with client(app) as http:
        options = await http.options("/a")
        refused = await http.delete("/a")

    assert (options.status_code, options.headers["allow"]) == (
        204,
        "GET, HEAD, OPTIONS, PUT",
    )
    assert (refused.status_code, refused.headers["allow"]) == (
        405,
        "GET, HEAD, OPTIONS, PUT",
    )
    assert refused.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/dir?a=1", "/dir/?a=1"),
        ("/leaf/", "/leaf"),
        ("/x%20y/", "/x%20y"),
        ("/p%25/", "/p%25"),
    ],
)
async def test_slash_too_many_or_too_few_is_redirected(path, location):
    """The path that is there is told, query and escapes kept."""
    app = application(
        *(Route(path=p, handler=hello) for p in ("/dir/", "/leaf", "/x y", "/p%"))
    )
    async with client(app) as http:
        response = await http.get(path)

    assert (response.status_code, response.headers["location"]) == (308, location)


async def test_strict_slash_rule_does_not_redirect():
    """With `strict` another slash is another path."""
    app = application(Route(path="/a", handler=hello), trailing_slash="strict")
    async with client(app) as http:
        assert (await http.get("/a/")).status_code == 404


async def test_double_slash_is_never_a_redirect_to_another_host():
    """`//evil.example/` must not become a `Location` that leaves the site."""
    app = application(Route(path="/{a}/{b}", handler=hello))
    scope_path = "//evil.example/"
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": scope_path, "headers": []}
    await app(scope, None, send)

    assert sent[0]["status"] == 404


# -- streams -------------------------------------------------------------------


async def test_stream_is_sent_piece_by_piece():
    """A stream's pieces arrive whole and in order."""

    async def pieces():
        for each in (b"a", b"b", b"c"):
            yield each

    async def stream(_ctx):
        return StreamResponse(pieces(), media_type="text/plain")

    async with client(stream) as http:
        assert (await http.get("/")).content == b"abc"


@pytest.mark.parametrize(
    ("length", "header"),
    [(None, ("transfer-encoding", "chunked")), (3, ("content-length", "3"))],
    ids=["of unknown length", "of known length"],
)
async def test_head_of_a_stream_does_not_announce_an_empty_one(length, header):
    """A length in the answer to HEAD is that of GET, or none (RFC 9110 §8.6)."""

    async def pieces():
        yield b"abc"

    async def stream(_ctx):
        return StreamResponse(pieces(), length=length)

    connection = MemoryConnection(application(Route(path="/", handler=stream)))
    await connection.send(request(method="HEAD") * 2)

    for answer in connection.answers("HEAD", "HEAD"):
        headers = dict(answer.headers)
        assert header in headers.items()
        assert len({"transfer-encoding", "content-length"} & headers.keys()) == 1
    assert len(connection.answers("HEAD", "HEAD")) == 2
    assert not connection.ends


async def test_stream_that_fails_cuts_the_connection():
    """A client must see that a stream is not whole."""

    async def pieces():
        yield b"a"
        raise ValueError("half way")

    async def stream(_ctx):
        return StreamResponse(pieces())

    async with client(stream) as http:
        with pytest.raises(ValueError, match="half way"):
            await http.get("/")


async def test_endless_stream_ends_when_the_client_leaves():
    """Nobody reads it any more, so nobody should write it."""
    closed = asyncio.Event()

    async def endless():
        try:
            while True:
                yield b"x"
                await asyncio.sleep(0)
        finally:
            closed.set()

    async def stream(_ctx):
        return StreamResponse(endless())

    app = application(Route(path="/", handler=stream))
    sent = []
    left = asyncio.Event()

    async def receive():
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if len(sent) > 3:
            left.set()

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    await asyncio.wait_for(app(scope, receive, send), timeout=5)

    assert closed.is_set()


# -- static files --------------------------------------------------------------


async def test_static_files_serve_the_folder_and_nothing_else(tmp_path):
    """Files come with type and ETag; a path that leads out finds nothing."""
    (tmp_path / "public").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "public/page.html").write_text("<p>hi</p>")
    (tmp_path / "public/link").symlink_to(tmp_path / "secret.txt")
    app = application(
        Route(path="/s/{path:path}", handler=handlers.static_files(tmp_path / "public"))
    )
    async with client(app) as http:
        page = await http.get("/s/page.html")
        again = await http.get(
            "/s/page.html", headers={"if-none-match": page.headers["etag"]}
        )
        outside = [
            (await http.get(f"/s/{path}")).status_code
            for path in ("../secret.txt", "%2e%2e/secret.txt", "link", "", "no", "%00")
        ]

    assert (page.status_code, page.text) == (200, "<p>hi</p>")
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["x-content-type-options"] == "nosniff"
    assert again.status_code == 304
    assert page.headers.get_list("cache-control") == ["no-cache"]
    assert set(outside) <= {400, 404}


async def test_lookup_finds_routes_where_the_tree_has_none():
    """The service's own come first; a lookup that knows nothing leaves it at 404."""

    async def found(ctx):
        return ctx.write_text(f"{ctx.route} {ctx.part} {ctx.time_limit}")

    route = Route(path="/x/*", handler=found, part="proxy", time_limit=0.0)
    app = Application(
        filters=[deliver],
        body_limit=lambda: 0,
        lookups=[lambda ctx: route if ctx.path.startswith("/x") else None],
    )
    app.add(Route(path="/x/own", handler=hello))
    async with client(app) as http:
        answers = [await http.get(path) for path in ("/x/own", "/x/other", "/y")]

    assert [each.status_code for each in answers] == [200, 200, 404]
    assert [each.text for each in answers[:2]] == ["hello", "/x/* proxy 0.0"]
