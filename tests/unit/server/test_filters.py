"""The filters of the server: ids, problems, time-outs, headers, proxies, hosts."""

import asyncio

import pytest

from service.errors import TooManyRequests
from service.server import filters, handlers
from service.server.application import Application
from service.server.delivery import deliver
from service.server.recording import access_log, measure
from service.server.responses import Response
from service.server.routes import Route
from tests.support.asgi import application, client


async def hello(ctx):
    return ctx.write_text("hello")


async def fail(_ctx):
    raise ValueError("secret detail")


# -- filters -------------------------------------------------------------------


async def test_filters_run_in_order_and_may_answer():
    """The list's order is the order of the chain, and any filter may end it."""
    seen = []

    def noting(name):
        async def each(ctx, following):
            seen.append(f"{name} before")
            response = await following(ctx)
            seen.append(f"{name} after")
            return response

        return each

    async def answer(ctx, _following):
        return ctx.forbidden("closed")

    app = application(
        Route(path="/", handler=fail), extra=[noting("a"), noting("b"), answer]
    )
    async with client(app) as http:
        response = await http.get("/")

    assert response.status_code == 403
    assert seen == ["a before", "b before", "b after", "a after"]


async def test_filter_after_deliver_may_replace_the_answer():
    """Inside `deliver` an answer is a value that can be changed."""

    async def louder(ctx, following):
        response = await following(ctx)
        return ctx.write_text(response.body.decode().upper())

    async with client(
        application(Route(path="/", handler=hello), extra=[louder])
    ) as http:
        assert (await http.get("/")).text == "HELLO"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc-123", True),
        ("a" * 128, True),
        ("a" * 129, False),
        ("a b", False),
        ("é", False),
        ("", False),
        ('a"b', False),
    ],
)
async def test_sane_request_id_is_kept_else_made(given, kept):
    """A request id that could harm a log or a header is replaced."""
    async with client(application(Route(path="/", handler=hello))) as http:
        response = await http.get("/", headers={"x-request-id": given.encode()})

    answered = response.headers["x-request-id"]
    assert (answered == given) is kept
    assert kept or (len(answered) == 32 and answered.isalnum())


async def test_exception_is_a_problem_with_the_request_id_and_no_trace():
    """The client learns the request id, never the cause."""
    async with client(application(Route(path="/", handler=fail))) as http:
        response = await http.get("/", headers={"x-request-id": "r1"})

    assert response.status_code == 500
    assert response.json() == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "The service failed; its log has the cause.",
        "instance": "urn:request:r1",
    }


async def test_request_error_becomes_its_problem():
    """Status, headers and extensions of the error reach the client."""

    async def busy(_ctx):
        raise TooManyRequests(
            "later", headers={"retry-after": "7"}, extensions={"quota": 3}
        )

    async with client(busy) as http:
        response = await http.get("/")

    assert response.status_code == 429
    assert response.headers["retry-after"] == "7"
    assert response.json()["quota"] == 3


async def test_slow_handler_gets_504_and_is_cancelled():
    """The time-out ends the work, not only the waiting."""
    cancelled = asyncio.Event()

    async def slow(_ctx):
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    app = application(Route(path="/", handler=slow), limit=0.01)
    async with client(app) as http:
        response = await http.get("/")

    assert response.status_code == 504
    assert cancelled.is_set()


async def test_handlers_own_timeout_error_is_not_our_504():
    """A TimeoutError of the handler's own making is a failure like any other."""

    async def times_out(_ctx):
        raise TimeoutError

    async with client(times_out) as http:
        assert (await http.get("/")).status_code == 500


async def test_time_out_handler_has_its_own_limit():
    """One route may be stricter than the rest."""

    async def slow(_ctx):
        await asyncio.Event().wait()

    handler = handlers.time_out(slow, seconds=0.01, detail="test timeout")
    async with client(handler) as http:
        response = await http.get("/")

    assert (response.status_code, response.json()["detail"]) == (504, "test timeout")


async def test_security_headers_are_there_and_handlers_own_wins():
    """Every answer carries them, 404 included; a handler may say otherwise."""

    async def framed(_ctx):
        return Response(b"x", headers={"X-Frame-Options": "SAMEORIGIN"})

    async with client(application(Route(path="/framed", handler=framed))) as http:
        own = await http.get("/framed")
        missing = await http.get("/nope")

    assert own.headers.get_list("x-frame-options") == ["SAMEORIGIN"]
    assert "strict-transport-security" not in missing.headers
    for name, value in filters.DEFAULT_SECURITY_HEADERS.items():
        assert missing.headers[name] == value


@pytest.mark.parametrize(
    ("scheme", "forwarded", "sent"),
    [
        ("https", "", True),
        ("http", "https", True),
        ("http", "", False),
        ("https", "http", False),
    ],
)
async def test_hsts_is_for_https_alone(scheme, forwarded, sent):
    """Browsers ignore it over HTTP, and a proxy says what the client spoke."""
    headers = {"x-forwarded-proto": forwarded} if forwarded else {}
    proxies = filters.forwarded(["127.0.0.1"])
    chain = [proxies, deliver, filters.security_headers()]
    app = Application(filters=chain, body_limit=lambda: 0)
    app.add(Route(path="/", handler=hello))
    async with client(app) as http:
        answer = await http.get(f"{scheme}://test/", headers=headers)

    assert ("strict-transport-security" in answer.headers) is sent


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "expected"),
    [
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.7, 10.0.0.9", "203.0.113.7"),
        ("10.0.0.1", "junk", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("192.0.2.1", "203.0.113.7", "192.0.2.1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
    ],
)
async def test_only_trusted_proxies_are_believed(peer, forwarded_for, expected):
    """The client is the last hop that is no proxy of ours."""
    seen = {}

    async def note(ctx):
        seen.update(client=ctx.client, scheme=ctx.scheme)
        return ctx.no_content()

    app = application(
        Route(path="/", handler=note), extra=[filters.forwarded(["10.0.0.0/8"])]
    )
    headers = [
        (b"x-forwarded-for", forwarded_for.encode()),
        (b"x-forwarded-proto", b"https"),
    ]
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": headers,
        "client": (peer, 1234),
        "scheme": "http",
    }

    async def send(_message):
        pass

    await app(scope, None, send)

    trusted = peer.startswith("10.")
    assert seen == {"client": expected, "scheme": "https" if trusted else "http"}


async def test_access_line_and_measure_see_the_sent_answer():
    """Outside `deliver` status and size are those of the wire."""
    lines, ends = [], []

    class Http:
        def begin(self):
            ends.append("begin")

        def end(self, **fields):
            ends.append(fields)

    app = Application(
        filters=[
            filters.request_id,
            access_log(
                lambda **fields: lines.append(fields), wanted=lambda ctx: not ctx.probe
            ),
            measure(Http()),
            deliver,
        ],
        body_limit=lambda: 10,
    )
    app.add(
        Route(path="/u/{id}", handler=hello),
        Route(path="/livez", handler=hello, probe=True),
    )
    async with client(app) as http:
        await http.get("/u/7", headers={"x-request-id": "r1"})
        await http.get("/nope/secret")
        await http.get("/livez")

    assert [line["route"] for line in lines] == ["/u/{id}", ""]
    assert lines[0] | {"duration": 0} == {
        "method": "GET",
        "route": "/u/{id}",
        "path": "/u/7",
        "status": 200,
        "duration": 0,
        "bytes": 5,
        "client": "127.0.0.1",
        "request_id": "r1",
    }
    assert [end["route"] for end in ends[1::2]] == ["/u/{id}", "unmatched", "/livez"]


# -- hosts ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("example.com", 200),
        ("EXAMPLE.com:8080", 200),
        ("api.example.com", 200),
        ("badexample.com", 421),
        ("example.com.evil.org", 421),
        ("127.0.0.1", 421),
    ],
)
async def test_host_that_is_not_served_is_misdirected(host, status):
    """Names match in any case and with any port; `*.` stands for what is below."""
    served = filters.served_hosts(lambda: ["example.com", "*.example.com"])
    app = Application(filters=[deliver, served], body_limit=lambda: 100)
    app.add(Route(path="/", handler=hello))
    app.add(Route(path="/readyz", handler=hello, probe=True))
    async with client(app) as http:
        answer = await http.get("/", headers={"host": host})
        probe = await http.get("/readyz", headers={"host": host})

    assert (answer.status_code, probe.status_code) == (status, 200)
