"""The control endpoints: who gets in, and what is refused."""

import pytest

from service.app import create_service
from service.config import SettingsStore
from service.settings import Settings
from tests.support.asgi import client
from tests.support.control import AUTH, ENDPOINTS, ControlBench

SECRET = "wrong-value-that-nobody-may-echo"


@pytest.fixture
def bench():
    return ControlBench()


# -- who gets in ---------------------------------------------------------------


def test_list_of_endpoints_is_whole(bench):
    """The tests ask all that there is."""
    found = [
        (route.methods[0], route.path.replace("{id}", "f1"))
        for route in bench.service.admin.routes
        if route.path.startswith("/control")
    ]

    assert found == ENDPOINTS


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_endpoint_is_never_on_the_public_port(bench, method, path):
    """404 there, with the token too, and not a word in the OpenAPI document."""
    answer = await bench.public.request(method, path, headers=AUTH)
    document = (await bench.public.get("/openapi.json")).text

    assert answer.status_code == 404
    assert "/control" not in document


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_endpoint_asks_for_the_token(bench, method, path):
    """401 without it, before anything is read or done."""
    answer = await bench.admin.request(method, path, headers={"authorization": "no"})

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert bench.metric("httpserver_control_refusals_total", reason="missing") == 1


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_endpoint_is_off_by_default(method, path):
    """Without the setting neither port has them."""
    service = create_service(SettingsStore.of(Settings()))

    for app in (service.app, service.admin):
        answer = await client(app).request(method, path, headers=AUTH)
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/control", "GET, HEAD, OPTIONS"),
        ("POST", "/control/readiness", "GET, HEAD, OPTIONS, PUT"),
        ("PUT", "/control/faults", "DELETE, GET, HEAD, OPTIONS, POST"),
        ("POST", "/control/faults/f1", "DELETE, GET, HEAD, OPTIONS"),
        ("POST", "/control/log-level", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("GET", "/control/reload", "OPTIONS, POST"),
        ("DELETE", "/control/config", "GET, HEAD, OPTIONS"),
    ],
)
async def test_other_methods_are_405(bench, method, path, allowed):
    """And the answer names those that are there."""
    answer = await bench.admin.request(method, path)

    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed


# -- bodies --------------------------------------------------------------------


@pytest.mark.parametrize("path", ["readiness", "faults", "log-level"])
@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", {}, 400),
        (b"{", {}, 400),
        (b"\xff", {}, 400),
        (b'{"rate": NaN}', {}, 400),
        (b'{"rate": 1, "rate": 1}', {}, 400),
        (b"[" * 100, {}, 400),
        (b"[]", {}, 422),
        (b"null", {}, 422),
        (b'"text"', {}, 422),
        (b'{"unknown": 1}', {}, 422),
        (b"{}", {"content-type": "text/plain"}, 415),
        (b'{"a": "' + b"x" * 16_384 + b'"}', {}, 413),
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_malformed_body_is_refused(bench, path, content, headers, status):
    """As a problem of the client's, with the connection in one piece."""
    method = "POST" if path == "faults" else "PUT"
    headers = {"content-type": "application/json"} | headers

    answer = await bench.admin.request(
        method, f"/control/{path}", content=content, headers=headers
    )

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


BAD = [
    ("readiness", {"ready": SECRET}, "ready"),
    ("readiness", {}, "ready"),
    ("readiness", {"ready": 1}, "ready"),
    ("readiness", {"ready": False, "reason": SECRET * 20}, "reason"),
    ("readiness", {"ready": False, "expires_in": SECRET}, "expires_in"),
    ("readiness", {"ready": False, "expires_in": 0}, "expires_in"),
    ("readiness", {"ready": False, "expires_in": 1e9}, "expires_in"),
    ("readiness", {"ready": False, "more": SECRET}, "more"),
    ("faults", {"status": 503}, "expires_in"),
    ("faults", {"status": 503, "expires_in": 3601}, "expires_in"),
    ("faults", {"status": 200, "expires_in": 1}, "status"),
    ("faults", {"status": 600, "expires_in": 1}, "status"),
    ("faults", {"status": SECRET, "expires_in": 1}, "status"),
    ("faults", {"status": 503.5, "expires_in": 1}, "status"),
    ("faults", {"status": 503, "rate": 1.01, "expires_in": 1}, "rate"),
    ("faults", {"status": 503, "rate": -0.1, "expires_in": 1}, "rate"),
    ("faults", {"status": 503, "rate": True, "expires_in": 1}, "rate"),
    ("faults", {"abort": SECRET, "expires_in": 1}, "abort"),
    ("faults", {"delay": SECRET, "expires_in": 1}, "delay"),
    ("faults", {"delay": {"distribution": SECRET}, "expires_in": 1}, "delay"),
    ("faults", {"delay": {"distribution": "fixed"}, "expires_in": 1}, "seconds"),
    ("faults", {"status": 503, "seed": SECRET, "expires_in": 1}, "seed"),
    ("faults", {"status": 503, "scope": SECRET, "expires_in": 1}, "scope"),
    ("faults", {"status": 503, "scope": {"route": ""}, "expires_in": 1}, "route"),
    ("faults", {"abort": True, "scope": {"methods": "X"}, "expires_in": 1}, "methods"),
    ("faults", {"status": 503, "scope": {"methods": [SECRET]}, "expires_in": 1}, 0),
    (
        "faults",
        {"status": 503, "scope": {"header": {"name": f"{SECRET}:"}}, "expires_in": 1},
        "name",
    ),
    ("faults", {"expires_in": 1}, "body"),
    ("faults", {"status": 503, "abort": True, "expires_in": 1}, "body"),
    ("log-level", {"level": SECRET}, "level"),
    ("log-level", {"level": "DEBUG"}, "level"),
    ("log-level", {"loggers": {"a": SECRET}}, "a"),
    ("log-level", {"loggers": SECRET}, "loggers"),
    ("log-level", {"loggers": {str(n): "info" for n in range(101)}}, "loggers"),
    ("log-level", {"level": "debug", "expires_in": -1}, "expires_in"),
]


@pytest.mark.parametrize(("path", "body", "field"), BAD, ids=lambda v: str(v)[:60])
async def test_wrong_value_is_422_that_names_the_field_and_echoes_nothing(
    bench, path, body, field
):
    """Nothing is converted, nothing ignored, nothing changed."""
    method = "POST" if path == "faults" else "PUT"
    before = (await bench.admin.get("/control")).json()

    answer = await bench.admin.request(method, f"/control/{path}", json=body)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in [each["loc"][-1] for each in answer.json()["errors"]]
    assert SECRET not in answer.text
    assert (await bench.admin.get("/control")).json() == before
