"""The front page: what a browser gets at `/`, whatever answers programs there."""

import pytest

from service.server.responses import Response
from service.server.routes import Route
from service.web.feature import front_page
from tests.support.asgi import application, client

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


async def page(_ctx):
    return Response(b"the page", media_type="text/html")


async def program(ctx):
    return ctx.write_text("for programs")


@pytest.fixture
def flag():
    return [True]


@pytest.fixture
def http(flag):
    front = front_page(page, enabled=lambda _ctx: flag[0])
    routes = [
        Route(path="/", handler=program, methods=("GET", "POST")),
        Route(path="/other", handler=program),
    ]
    return client(application(*routes, extra=[front]))


@pytest.mark.parametrize(
    ("method", "path", "accept", "expected"),
    [
        ("GET", "/", BROWSER, "the page"),
        ("GET", "/", "*/*", "for programs"),
        ("POST", "/", BROWSER, "for programs"),
        ("GET", "/other", BROWSER, "for programs"),
    ],
)
async def test_page_is_for_a_browser_that_gets_the_root(
    http, method, path, accept, expected
):
    """Programs, other methods and other paths are not concerned."""
    answer = await http.request(method, path, headers={"accept": accept})

    assert answer.text == expected
    assert (answer.headers.get("vary") == "Accept") is (path == "/" and method == "GET")


async def test_flag_takes_effect_with_the_next_request(http, flag):
    """The page goes and comes while the service runs."""
    flag[0] = False
    without = await http.get("/", headers={"accept": BROWSER})
    flag[0] = True
    with_page = await http.get("/", headers={"accept": BROWSER})

    assert (without.text, with_page.text) == ("for programs", "the page")
