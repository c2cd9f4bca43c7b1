"""What the control endpoints do to the service, and what they leave in the log."""

import asyncio
import json
import logging

import httpx2
import pytest
from structlog.testing import capture_logs

from service.settings import FlagRule, FlagSettings, LogSettings
from tests.support.control import ENDPOINTS, ControlBench


@pytest.fixture
def bench():
    return ControlBench()


# -- readiness -----------------------------------------------------------------


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


# -- faults --------------------------------------------------------------------


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


# -- log levels ----------------------------------------------------------------


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


# -- settings ------------------------------------------------------------------


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


# -- the audit log -------------------------------------------------------------


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


# -- settings ------------------------------------------------------------------


async def test_reloads_that_come_together_are_one(bench):
    """Each is answered and has its line in the audit log; the settings load once."""
    loads = bench.metric("httpserver_config_reloads_total", result="unchanged") or 0.0
    asked = [bench.admin.post("/control/reload") for _ in range(20)]
    with capture_logs() as lines:
        answers = await asyncio.gather(*asked)

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["result"] for answer in answers} == {"unchanged"}
    done = bench.metric("httpserver_config_reloads_total", result="unchanged") - loads
    results = [
        bench.metric("httpserver_control_reload_requests_total", result=each)
        for each in ("made", "joined")
    ]
    assert (done, results) == (1, [1, 19])
    assert sum(line["event"] == "control_changed" for line in lines) == 20


# -- feature flags -------------------------------------------------------------


async def test_flags_are_told_with_their_reasons():
    """Values for nobody in particular, and the rule where who asks decides."""
    rule = FlagRule(percentage=10, users=["ann"])
    flags = FlagSettings(page=False, price_text=True, rules={"price_text": rule})
    bench = ControlBench(flags=flags)
    told = (await bench.admin.get("/control/flags")).json()

    assert (told["provider"], told["status"]) == ("settings", "ready")
    assert sorted(told["flags"]) == ["latency", "page", "price_text", "random_delay"]
    assert told["flags"]["page"] == {
        "value": False,
        "default": True,
        "reason": "static",
    }
    assert told["flags"]["latency"]["reason"] == "static"
    assert told["flags"]["price_text"]["reason"] == "split"
    assert told["flags"]["price_text"]["rule"] == rule.model_dump()
