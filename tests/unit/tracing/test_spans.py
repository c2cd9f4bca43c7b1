"""What the span of a request tells."""

import asyncio

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from service.errors import NotFound, Unavailable
from service.server.responses import StreamResponse
from service.server.routes import Route
from service.tracing.attributes import REQUEST_ID
from tests.support.tracing import traced


async def hello(ctx):
    return ctx.write_text("hello")


HELLO = Route(path="/hello/{name}", handler=hello)


def failing(error):
    async def handler(_ctx):
        raise error

    return Route(path="/fails", handler=handler)


async def test_request_tells_what_the_conventions_ask_for():
    """Names and types are those of OpenTelemetry's HTTP server span."""
    async with traced(HELLO) as app:
        headers = {"user-agent": "curl/8", "x-request-id": "r-1", "host": "a.test:81"}
        await app.client.get("/hello/ann?token=x", headers=headers)
        span = await app.span()

    assert (span.name, span.kind) == ("GET /hello/{name}", SpanKind.SERVER)
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "http.route": "/hello/{name}",
        "http.response.status_code": 200,
        "url.path": "/hello/ann",
        "url.scheme": "http",
        "server.address": "a.test",
        "server.port": 81,
        "client.address": "127.0.0.1",
        "user_agent.original": "curl/8",
        "network.protocol.version": "1.1",
        REQUEST_ID: "r-1",
    }
    assert 0 < span.end_time - span.start_time < 60e9


async def test_resource_tells_which_service_and_instance(monkeypatch):
    """The environment adds to it, such as the pod's names."""
    told = "k8s.pod.name=pod-1,k8s.namespace.name=shop"
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", told)
    async with traced(HELLO) as app:
        await app.client.get("/hello/ann")
        resource = (await app.span()).resource.attributes

    assert resource["service.name"] == "httpserver"
    assert resource["service.version"]
    assert resource["service.instance.id"]
    assert resource["process.pid"] > 0
    assert resource["k8s.pod.name"] == "pod-1"
    assert resource["k8s.namespace.name"] == "shop"


async def test_unmatched_path_has_no_route_in_its_name():
    """Names stay few, whatever clients ask for."""
    async with traced(HELLO) as app:
        await app.client.get("/nowhere")
        span = await app.span()

    assert span.name == "GET"
    assert "http.route" not in span.attributes
    assert span.attributes["http.response.status_code"] == 404
    assert span.status.status_code is StatusCode.UNSET


async def test_unknown_method_is_other():
    """A method that nobody knows makes no name of its own."""
    async with traced(HELLO) as app:
        await app.client.request("BREW", "/hello/ann")
        span = await app.span()

    assert span.name == "HTTP"
    assert span.attributes["http.request.method"] == "_OTHER"
    assert span.attributes["http.request.method_original"] == "BREW"


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("a.test", ("a.test", 80)),
        ("[::1]:8080", ("::1", 8080)),
        ("a.test:port", ("test", 80)),
        ("", ("test", 80)),
    ],
)
async def test_server_is_what_the_client_asked(host, told):
    """A host that can't be read gives way to the address that was reached."""
    async with traced(HELLO) as app:
        request = app.client.build_request("GET", "/hello/ann")
        request.headers["host"] = host
        await app.client.send(request)
        span = await app.span()

    assert (span.attributes["server.address"], span.attributes["server.port"]) == told


@pytest.mark.parametrize(
    ("error", "status", "wanted"),
    [
        (NotFound("no"), 404, (StatusCode.UNSET, None)),
        (Unavailable("later"), 503, (StatusCode.ERROR, "503")),
    ],
)
async def test_refusal_is_an_error_from_500_on(error, status, wanted):
    """What the client did wrong is no failure of the service."""
    async with traced(failing(error)) as app:
        answer = await app.client.get("/fails")
        span = await app.span()

    assert answer.status_code == status
    assert (span.status.status_code, span.attributes.get("error.type")) == wanted
    assert not span.events


async def test_unhandled_exception_is_recorded_without_its_secrets():
    """Type and message; what looks like a credential is masked as in the log."""
    error = KeyError("no password=hunter2 at postgres://app:hunter2@db/x")
    async with traced(failing(error)) as app:
        answer = await app.client.get("/fails")
        span = await app.span()

    (event,) = span.events
    assert answer.status_code == 500
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "KeyError"
    assert event.name == "exception"
    assert event.attributes["exception.type"] == "KeyError"
    assert "postgres://app:" in event.attributes["exception.message"]
    assert "hunter2" not in span.to_json()


async def test_failure_of_a_class_of_ours_has_its_module():
    """Two classes of one name are told apart."""

    class Broken(Exception):
        def __str__(self):
            raise RuntimeError

    async with traced(failing(Broken())) as app:
        await app.client.get("/fails")
        span = await app.span()

    assert span.attributes["error.type"].endswith(
        "test_spans.test_failure_of_a_class_of_ours_has_its_module.<locals>.Broken"
    )


async def test_failure_behind_the_head_is_an_error_too():
    """The status was 200 when the answer broke off."""

    async def pieces():
        yield b"a"
        raise OSError("gone")

    async def stream(_ctx):
        return StreamResponse(pieces())

    async with traced(Route(path="/stream", handler=stream)) as app:
        with pytest.raises(OSError, match="gone"):
            await app.client.get("/stream")
        span = await app.span()

    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["error.type"] == "OSError"
    assert span.status.status_code is StatusCode.ERROR


async def test_cancelled_request_ends_its_span():
    """Nothing was sent: 499, as the log and the metrics have it."""
    began = asyncio.Event()

    async def waits(_ctx):
        began.set()
        await asyncio.Event().wait()

    async with traced(Route(path="/waits", handler=waits)) as app:
        task = asyncio.ensure_future(app.client.get("/waits"))
        await began.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        span = await app.span()

    assert span.attributes["http.response.status_code"] == 499
    assert span.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(("wanted", "spans"), [(False, 0), (True, 1)])
async def test_probes_are_traced_only_when_asked_for(wanted, spans):
    """A probe each second would bury the requests."""
    probe = Route(path="/livez", handler=hello, probe=True)
    async with traced(probe, probes=wanted) as app:
        await app.client.get("/livez")

        assert len(await app.spans()) == spans


async def test_long_values_are_cut():
    """A client can't make spans as large as it likes."""
    async with traced(HELLO) as app:
        await app.client.get("/hello/ann", headers={"user-agent": "x" * 10_000})
        span = await app.span()

    assert len(span.attributes["user_agent.original"]) == 4096
