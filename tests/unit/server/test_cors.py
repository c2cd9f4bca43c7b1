"""Pages of other origins read what the settings grant, and nothing more."""

import pytest
from pydantic import ValidationError

from service.app import create_app
from service.server.cors import cors
from service.server.routes import Route
from service.settings import CorsSettings, ServerSettings, Settings
from tests.support.asgi import application, client

FRIEND = "https://app.example.com"
STRANGERS = {
    "another site": "https://evil.example",
    "null": "null",
    "the name as a prefix": f"{FRIEND}.evil.example",
    "the name as a suffix": "https://evilapp.example.com",
    "another scheme": "http://app.example.com",
    "another port": f"{FRIEND}:8443",
    "another letter case": "https://APP.example.com",
    "a slash more": f"{FRIEND}/",
    "two at once": f"{FRIEND} https://evil.example",
    "a byte beyond ASCII": "https://app.example.com\xe4",
    "nothing": "",
}


def answering(reached: list[str] | None = None, **settings):
    async def handler(ctx):
        if reached is not None:
            reached.append(ctx.method)
        if "fail" in ctx.query:
            raise RuntimeError("no")
        return ctx.ok({"vary": "x"})

    share = cors(CorsSettings(**settings))
    everything = Route(path="/", handler=handler, methods=("GET", "OPTIONS"))
    return client(application(everything, extra=[share]))


def preflight(origin: str, **more: str) -> dict[str, str]:
    asked = {"origin": origin, "access-control-request-method": "PUT"}
    return asked | {name.replace("_", "-"): value for name, value in more.items()}


def granted(answer) -> dict[str, str]:
    names = [name for name in answer.headers if name.startswith("access-control-")]
    return {name: answer.headers[name] for name in names}


async def test_known_origin_may_read():
    """The answer names the one origin that asked, and what scripts may read."""
    answer = await answering(origins=[FRIEND]).get("/", headers={"origin": FRIEND})

    assert answer.status_code == 200
    assert granted(answer) == {
        "access-control-allow-origin": FRIEND,
        "access-control-expose-headers": "retry-after, x-request-id",
    }
    assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("origin", STRANGERS.values(), ids=STRANGERS)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_unknown_origin_is_served_and_granted_nothing(method, origin):
    """The request works as without the filter; only the page may not read it."""
    reached: list[str] = []
    asked = preflight("") | {"origin": origin.encode("latin-1")}
    answer = await answering(reached, origins=[FRIEND]).request(
        method, "/", headers=asked
    )

    assert (answer.status_code, reached) == (200, [method])
    assert granted(answer) == {}
    assert answer.headers["vary"] == "Origin"


async def test_answer_without_an_origin_varies_too():
    """A cache must not give the answer without a grant to a page that has one."""
    answer = await answering(origins=[FRIEND]).get("/")

    assert granted(answer) == {}
    assert answer.headers["vary"] == "Origin"


async def test_preflight_is_answered_without_a_handler():
    """The lists of the settings are told, whatever the page asked for."""
    reached: list[str] = []
    settings = {"origins": [FRIEND], "methods": ["GET"], "headers": ["x-a", "x-b"]}
    asked = preflight(
        FRIEND,
        access_control_request_headers="x-secret",
        access_control_request_private_network="true",
    )
    answer = await answering(reached, max_age=60.5, **settings).options(
        "/", headers=asked
    )

    assert (answer.status_code, answer.content, reached) == (204, b"", [])
    assert granted(answer) == {
        "access-control-allow-origin": FRIEND,
        "access-control-allow-methods": "GET",
        "access-control-allow-headers": "x-a, x-b",
        "access-control-max-age": "60",
    }
    assert answer.headers["vary"] == "Origin"
    assert "content-length" not in answer.headers


@pytest.mark.parametrize(
    "headers", [{"origin": FRIEND}, {"access-control-request-method": "PUT"}, {}]
)
async def test_options_that_is_no_preflight_reaches_the_route(headers):
    """A preflight has both headers; anything else is a question to the route."""
    reached: list[str] = []
    answer = await answering(reached, origins=[FRIEND]).options("/", headers=headers)

    assert (answer.status_code, reached) == (200, ["OPTIONS"])
    assert "access-control-allow-methods" not in answer.headers


async def test_credentials_are_granted_by_name_alone():
    """With credentials the origin is named, in the preflight and in the answer."""
    http = answering(origins=[FRIEND], credentials=True, expose=[])
    answer = await http.get("/", headers={"origin": FRIEND})
    before = await http.options("/", headers=preflight(FRIEND))

    assert granted(answer) == {
        "access-control-allow-origin": FRIEND,
        "access-control-allow-credentials": "true",
    }
    assert before.headers["access-control-allow-credentials"] == "true"


@pytest.mark.parametrize("origin", [FRIEND, "null"])
async def test_any_origin_is_a_star_and_never_an_echo(origin):
    """The answer is the same for all, so caches need not keep it apart."""
    answer = await answering(origins=["*"]).get("/", headers={"origin": origin})

    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert "vary" not in answer.headers


async def test_handlers_own_vary_does_not_hide_ours():
    """Whatever else the answer depends on, caches learn that it depends on origin."""

    async def handler(ctx):
        return ctx.write_text("hello", headers={"vary": "Accept"})

    share = cors(CorsSettings(origins=[FRIEND]))
    app = application(Route(path="/", handler=handler), extra=[share])
    answer = await client(app).get("/")

    assert answer.headers.get_list("vary") == ["Accept", "Origin"]


async def test_failure_can_be_read_by_the_page():
    """A 500 of the handler carries the grant, or the page sees a network error."""
    answer = await answering(origins=[FRIEND]).get(
        "/", params={"fail": "1"}, headers={"origin": FRIEND}
    )

    assert answer.status_code == 500
    assert answer.headers["access-control-allow-origin"] == FRIEND


@pytest.mark.parametrize("path", ["/version", "/nowhere", "/user/login", "/livez"])
async def test_service_shares_every_route_when_told_to(path):
    """The composition root puts the filter around every route, 404 and 405 too."""
    settings = Settings(server=ServerSettings(cors=CorsSettings(origins=[FRIEND])))
    async with client(create_app(settings)) as http:
        answer = await http.get(path, headers={"origin": FRIEND})
        before = await http.options(path, headers=preflight(FRIEND))

    assert answer.headers["access-control-allow-origin"] == FRIEND
    assert before.status_code == 204
    assert "allow" not in before.headers


async def test_service_without_origins_knows_nothing_of_cors():
    """By default no answer has a CORS header or varies by origin."""
    async with client(create_app()) as http:
        answer = await http.get("/version", headers={"origin": FRIEND})
        before = await http.options("/version", headers=preflight(FRIEND))

    assert granted(answer) == granted(before) == {}
    assert "vary" not in answer.headers
    assert before.headers["allow"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"origins": ["null"]},
        {"origins": ["https://app.example.com/"]},
        {"origins": ["https://App.example.com"]},
        {"origins": ["app.example.com"]},
        {"origins": ["https://app.example.com:443"]},
        {"origins": ["http://app.example.com:80"]},
        {"origins": ["*"], "credentials": True},
        {"headers": ["x-a\r\nset-cookie: a=b"]},
        {"methods": ["GET, PUT"]},
        {"expose": [""]},
    ],
)
def test_settings_that_could_never_match_are_refused(wrong):
    """A typo is told at the start, not found out by a page that does not work."""
    with pytest.raises(ValidationError):
        CorsSettings(**wrong)
