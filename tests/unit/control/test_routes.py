"""The control endpoints: what each answers, and what it does to the service."""

import json
import logging

import httpx2
import pytest
from structlog.testing import capture_logs

from service.app import create_service
from service.config import SettingsStore
from service.settings import LogSettings, Settings
from tests.support.asgi import client
from tests.support.control import AUTH, ControlBench

SECRET = "wrong-value-that-nobody-may-echo"

ENDPOINTS = [
    ("GET", "/control"),
    ("GET", "/control/readiness"),
    ("PUT", "/control/readiness"),
    ("GET", "/control/faults"),
    ("POST", "/control/faults"),
    ("DELETE", "/control/faults"),
    ("GET", "/control/faults/f1"),
    ("DELETE", "/control/faults/f1"),
    ("GET", "/control/log-level"),
    ("PUT", "/control/log-level"),
    ("DELETE", "/control/log-level"),
    ("POST", "/control/reload"),
    ("GET", "/control/config"),
]


@pytest.fixture
def bench():
    return ControlBench()


# -- who gets in --------------------------------------------------------------


def test_list_of_endpoints_is_whole(bench):
    """What this module tests is what there is."""
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


# -- bodies -------------------------------------------------------------------


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


# -- readiness ----------------------------------------------------------------


async def test_readiness_is_switched_off_and_on(bench):
    """Both ports say 503, the admin port why; liveness does not care."""
    body = {"ready": False, "reason": "drill", "expires_in": 60}
    changed = await bench.admin.put("/control/readiness", json=body)
    off = [await http.get("/readyz?verbose") for http in (bench.admin, bench.public)]
    live = await bench.admin.get("/livez")
    shown = await bench.admin.get("/control/readiness")
    back = await bench.admin.put("/control/readiness", json={"ready": True})
    on = await bench.admin.get("/readyz?verbose")

    assert changed.status_code == 200
    assert [answer.status_code for answer in off] == [503, 503]
    assert off[0].json()["checks"] == {"switch": "switched off: drill"}
    assert "drill" not in off[1].text
    assert live.status_code == 200
    assert shown.json()["reason"] == "drill"
    assert 0 < shown.json()["expires_in"] <= 60
    assert back.json() == {"ready": True}
    assert (on.status_code, on.json()["checks"]) == (200, {})


# -- faults -------------------------------------------------------------------


async def begin(bench, **body) -> httpx2.Response:
    return await bench.admin.post("/control/faults", json={"expires_in": 60} | body)


async def test_fault_begins_is_listed_and_ends(bench):
    """Created with a place of its own, counted while it is in force."""
    made = await begin(bench, status=503, rate=1, scope={"methods": ["GET"]})
    place = made.headers["location"]
    one = await bench.admin.get(place)
    listed = await bench.admin.get("/control/faults")
    hit = await bench.public.get("/hello")
    active = bench.metric("httpserver_faults_active")
    gone = await bench.admin.delete(place)
    after = await bench.public.get("/hello")

    assert made.status_code == 201
    assert place == f"/control/faults/{made.json()['id']}"
    assert one.json()["scope"] == {"route": "*", "methods": ["GET"]}
    assert [each["id"] for each in listed.json()["faults"]] == [made.json()["id"]]
    assert hit.status_code == 503
    assert hit.headers["x-fault-injected"] == made.json()["id"]
    assert active == 1
    assert gone.status_code == 204
    assert after.status_code == 200
    assert bench.metric("httpserver_faults_active") == 0
    assert bench.metric("httpserver_faults_injected_total", kind="status") == 1
    assert (await bench.admin.get(place)).status_code == 404
    assert (await bench.admin.delete(place)).status_code == 404


async def test_every_fault_ends_at_once(bench):
    """One request takes them all away, and may be repeated."""
    for status in (500, 503):
        await begin(bench, status=status)

    answers = [await bench.admin.delete("/control/faults") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert (await bench.admin.get("/control/faults")).json() == {"faults": []}


async def test_typed_route_is_hit_like_any_other(bench):
    """FastAPI's own routes, the documentation among them, are behind the filter."""
    await begin(bench, status=418, scope={"route": "/openapi.json"})

    assert (await bench.public.get("/openapi.json")).status_code == 418
    assert (await bench.public.get("/hello")).status_code == 200


async def test_faults_are_bounded(bench):
    """Each costs a look per request, so there can't be any number of them."""
    for _ in range(100):
        assert (await begin(bench, status=503, rate=0)).status_code == 201

    assert (await begin(bench, status=503)).status_code == 409


# -- log levels ---------------------------------------------------------------


@pytest.fixture
def levels():
    """Names of levels now; those of before are put back."""
    names = ("root", "uvicorn.error", "httpserver.control", "some.library")
    loggers = {name: logging.getLogger(name) for name in names}
    before = {name: logger.level for name, logger in loggers.items()}
    yield lambda name: logging.getLevelName(loggers[name].level)
    for name, logger in loggers.items():
        logger.setLevel(before[name])


async def test_log_levels_are_overridden_and_given_back(levels):
    """What is not named follows the settings; without the override all does."""
    log = LogSettings(level="error", loggers={"some.library": "info"})
    bench = ControlBench(log=log)
    body = {"level": "debug", "loggers": {"uvicorn.error": "warning"}, "expires_in": 60}

    changed = await bench.admin.put("/control/log-level", json=body)
    during = {name: levels(name) for name in ("root", "uvicorn.error", "some.library")}
    ended = await bench.admin.delete("/control/log-level")
    shown = await bench.admin.get("/control/log-level")

    assert changed.json()["level"] == "debug"
    assert changed.json()["override"]["loggers"] == {"uvicorn.error": "warning"}
    assert during == {
        "root": "DEBUG",
        "uvicorn.error": "WARNING",
        "some.library": "INFO",
    }
    assert ended.status_code == 204
    assert levels("root") == "ERROR"
    assert shown.json() == {
        "level": "error",
        "loggers": {"some.library": "info"},
        "override": None,
    }


async def test_audit_lines_outlive_a_quiet_override(levels):
    """Who silences the log does not silence what tells of it."""
    bench = ControlBench()

    await bench.admin.put("/control/log-level", json={"level": "critical"})

    assert levels("root") == "CRITICAL"
    assert logging.getLogger("httpserver.control").isEnabledFor(logging.WARNING)


# -- settings -----------------------------------------------------------------


async def test_config_tells_values_and_origins_and_no_secret(bench):
    """As `config show` does."""
    document = (await bench.admin.get("/control/config")).json()

    row = document["settings"]["server.ports"]
    assert row == {"value": [8080], "origin": "default", "live": False}
    masked = document["settings"]["server.admin.control.token"]
    assert masked["value"] == "**********"
    assert document["need_restart"] == []


async def test_reload_without_a_change_says_so(bench):
    """Nothing changed, nothing waits for a restart."""
    answer = await bench.admin.post("/control/reload")

    assert answer.status_code == 200
    assert answer.json() == {"result": "unchanged", "changed": [], "need_restart": []}


async def test_overview_tells_everything_in_force(bench):
    """One request for whoever wonders what is going on."""
    await begin(bench, abort=True)
    await bench.admin.put("/control/readiness", json={"ready": False, "reason": "x"})

    document = (await bench.admin.get("/control")).json()

    assert len(document["endpoints"]) == len(ENDPOINTS)
    assert document["readiness"] == {"ready": False, "reason": "x"}
    assert [each["abort"] for each in document["faults"]] == [True]
    assert document["log_level"]["override"] is None


# -- the audit log ------------------------------------------------------------


async def test_each_change_is_one_audit_line(bench, levels):
    """Who, what, and how; a look changes nothing and is not logged."""
    with capture_logs() as logs:
        made = await begin(bench, status=503)
        await bench.admin.delete(made.headers["location"])
        await bench.admin.delete("/control/faults")
        await bench.admin.put("/control/readiness", json={"ready": True})
        await bench.admin.put("/control/log-level", json={"level": "debug"})
        await bench.admin.delete("/control/log-level")
        await bench.admin.post("/control/reload")
        for path in ("", "/faults", "/config", "/log-level", "/readiness"):
            await bench.admin.get(f"/control{path}")

    audit = [line for line in logs if line["event"] == "control_changed"]
    assert [line["what"] for line in audit] == [
        *["fault"] * 3,
        "readiness",
        *["log_level"] * 2,
        "reload",
    ]
    assert {line["who"] for line in audit} == {"127.0.0.1"}
    assert {line["log_level"] for line in audit} == {"warning"}
    assert audit[0]["change"]["status"] == 503
    assert json.dumps(audit)  # nothing in a line that JSON can't hold


async def test_refused_change_leaves_no_audit_line(bench):
    """What did not happen is not told."""
    with capture_logs() as logs:
        await bench.admin.put("/control/readiness", json={"ready": "no"})
        await bench.admin.delete("/control/faults/none")

    assert [line for line in logs if line["event"] == "control_changed"] == []
