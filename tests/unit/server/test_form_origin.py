"""The cookie of the page's forms, and who may send them."""

import httpx2
import pytest

from service.server.context import RequestContext
from service.server.form_origin import check_origin, form_token, has_token
from service.server.routes import Route
from tests.support.asgi import application, client


async def forms(ctx: RequestContext):
    if ctx.method == "POST":
        check_origin(ctx)
    token = form_token(ctx, cookie="phonebook")
    return ctx.write_json(
        {"token": token, "ours": has_token(ctx, token, cookie="phonebook")}
    )


@pytest.fixture
def app():
    return application(Route(path="/", handler=forms, methods=("GET", "POST")))


@pytest.mark.parametrize(
    ("scheme", "name", "secure"),
    [("http", "phonebook", set()), ("https", "__Host-phonebook", {"Secure"})],
)
async def test_cookie_over_https_is_of_this_host_alone(app, scheme, name, secure):
    """With the prefix browsers take it from no other host of the domain."""
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(
        transport=transport, base_url=f"{scheme}://test"
    ) as browser:
        first = await browser.get("/")
        second = await browser.get("/")

    cookie = first.headers["set-cookie"]
    assert cookie.startswith(f"{name}={first.json()['token']}; ")
    always = {"HttpOnly", "Path=/", "SameSite=Strict"}
    assert set(cookie.split("; ")[1:]) == always | secure
    assert (first.json()["ours"], second.json()["ours"]) == (False, True)


@pytest.mark.parametrize("known", ["", "short", "A" * 33, "A" * 31 + "!"])
async def test_cookie_that_is_none_of_ours_is_replaced(app, known):
    """Whoever set it can't choose the token."""
    answer = await client(app).get("/", headers={"cookie": f"phonebook={known}"})

    assert answer.json()["token"] != known
    assert "set-cookie" in answer.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "same-origin", "origin": "https://public.example"}, 200),
        ({"sec-fetch-site": "same-site", "origin": "http://test"}, 403),
        ({"origin": "http://test"}, 200),
        ({"origin": "https://test"}, 200),
        ({"origin": "http://test:81"}, 403),
        ({"origin": "http://test.evil.example"}, 403),
        ({"origin": "http://["}, 403),
        ({"origin": "null"}, 403),
        ({}, 403),
    ],
    ids=str,
)
async def test_form_must_come_from_our_origin(app, headers, status):
    """`Sec-Fetch-Site` decides, and `Origin` where there is none."""
    assert (await client(app).post("/", headers=headers)).status_code == status
