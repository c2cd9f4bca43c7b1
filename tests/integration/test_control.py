"""The control endpoints of the running service, on real sockets and real clocks."""

import subprocess
import sys
import time

import httpx2
import pytest

from tests.support.control import (
    AUTH,
    TOKEN,
    VARIABLE,
    controlled,
    operating,
    operator,
)
from tests.support.process import serving
from tests.support.scrape import known_value
from tests.support.waiting import until

CUT = (httpx2.NetworkError, httpx2.RemoteProtocolError)
"""What a client sees of a connection that is cut."""

ENABLED = "server.admin.control.enabled"


@pytest.fixture(scope="module")
def service():
    with controlled() as running:
        yield running


@pytest.fixture
def control(service):
    with operating(service) as http:
        yield http


@pytest.fixture
def public(service):
    with httpx2.Client(base_url=service.url, timeout=60) as http:
        yield http


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "server.admin.control.token"),
        ({VARIABLE: "short"}, "server.admin.control.token"),
    ],
    ids=["no token", "short token"],
)
def test_endpoints_without_a_good_token_are_a_settings_error(settings, told):
    """Exit 2, and the message names the key; the service never opens a port."""
    done = subprocess.run(
        [sys.executable, "-m", "service", "serve", "--set", f"{ENABLED}=true"],
        env={"PYTHONPATH": "."} | settings,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 2
    assert told in done.stderr
    assert "short" not in done.stderr.replace("must have", "")


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong-wrong-wrong"}])
def test_nobody_without_the_token_gets_in(service, headers):
    """401 over the wire, counted; the public port has no such path at all."""
    admin = httpx2.get(f"{service.admin_url}/control", headers=headers)
    public = httpx2.get(f"{service.url}/control", headers=AUTH)

    assert admin.status_code == 401
    assert public.status_code == 404


def test_readiness_goes_and_comes_back_by_itself(service, control, public):
    """Off at once on both ports, liveness untouched, on again after its time."""
    body = {"ready": False, "reason": "drill", "expires_in": 600}
    control.put("/readiness", json=body)
    verbose = httpx2.get(f"{service.admin_url}/readyz?verbose")
    statuses = [public.get(path).status_code for path in ("/readyz", "/livez")]

    assert verbose.json()["checks"] == {"switch": "switched off: drill"}
    assert verbose.status_code == 503
    assert statuses == [503, 200]
    control.put("/readiness", json=body | {"expires_in": 0.5})
    until(lambda: public.get("/readyz").status_code == 200)
    assert service.await_event("control_expired", what="readiness")


def test_rate_and_seed_decide_what_fails(service, control, public):
    """Three of ten, within what chance allows, the same ones in each run."""
    before = known_value(service, 'httpserver_faults_injected_total{kind="status"}')
    runs = []
    for _ in range(2):
        fault = {"rate": 0.3, "status": 503, "seed": 5, "expires_in": 600}
        made = control.post("/faults", json=fault | {"scope": {"route": "/hello"}})
        runs.append([public.get("/hello").status_code for _ in range(300)])
        assert control.delete(f"/faults/{made.json()['id']}").status_code == 204

    failed = runs[0].count(503)
    assert 60 <= failed <= 120
    assert runs[0] == runs[1]
    after = known_value(service, 'httpserver_faults_injected_total{kind="status"}')
    assert after - before == 2 * failed
    assert known_value(service, "httpserver_faults_active") == 0
    assert public.get("/hello").status_code == 200


def test_abort_cuts_the_connection_and_probes_live(control, public):
    """Not a byte comes back; what the kubelet asks is answered."""
    control.post("/faults", json={"abort": True, "expires_in": 600})

    with pytest.raises(CUT):
        public.get("/hello")
    with pytest.raises(CUT):
        public.post("/echo", content=b"x" * 100_000)
    assert public.get("/livez").status_code == 200
    assert public.get("/readyz").status_code == 200


def test_delay_holds_the_answer(control, public):
    """The header says that it was on purpose, also where it was too long."""
    delay = {"distribution": "fixed", "seconds": 0.3}
    made = control.post("/faults", json={"delay": delay, "expires_in": 600})
    began = time.monotonic()
    answer = public.get("/hello")

    assert time.monotonic() - began >= 0.3
    assert answer.status_code == 200
    assert answer.headers["x-fault-injected"] == made.json()["id"]


def test_fault_ends_by_itself(service, control, public):
    """Gone from answers, list and gauge after its time, with a line in the log."""

    def hit():
        """Make one, again where it was over before it was met."""
        fault = control.post("/faults", json={"status": 503, "expires_in": 0.5})
        return public.get("/hello").status_code == 503 and fault.json()

    made = until(hit)
    until(lambda: public.get("/hello").status_code == 200)
    assert control.get(f"/faults/{made['id']}").status_code == 404
    until(lambda: known_value(service, "httpserver_faults_active") == 0)
    line = service.await_event("control_expired", what="fault", id=made["id"])
    assert line["level"] == "warning"


def test_wrong_bodies_are_refused(control):
    """400, 413, 415 and 422 over the wire, and the service lives on."""
    answers = [
        control.post(
            "/faults", content=b"{", headers={"content-type": "application/json"}
        ),
        control.post("/faults", json={"reason": "x" * 20_000}),
        control.post("/faults", content=b"{}", headers={"content-type": "text/css"}),
        control.post("/faults", json={"status": 503}),
        control.request("PATCH", "/faults"),
    ]

    statuses = [answer.status_code for answer in answers]
    assert statuses == [400, 413, 415, 422, 405]
    assert control.get("/faults").json() == {"faults": []}


def test_log_level_changes_at_once_survives_a_reload_and_ends(tmp_path):
    """An override is over the settings until it is taken away."""
    file = tmp_path / "config.yaml"
    file.write_text("log: {level: info}")
    with controlled("--config", str(file)) as service, operator(service) as http:

        def ask() -> str:
            return httpx2.get(f"{service.url}/hello").headers["x-request-id"]

        def logged() -> bool:
            """Whether an access line, of level info, is written."""
            service.await_event("request", request_id=ask())
            return True

        def silent() -> bool:
            """Whether none is."""
            asked = ask()
            time.sleep(0.2)  # a line that does not come can't be awaited
            return asked not in {e["request_id"] for e in service.events("request")}

        assert logged()
        http.put("/log-level", json={"level": "error"})
        assert silent()
        file.write_text("log: {level: debug, loggers: {a: debug}}")
        reloaded = http.post("/reload").json()
        assert silent()
        http.delete("/log-level")
        assert logged()
        file.write_text("log: {level: error}")
        http.post("/reload")
        assert silent()
        http.put("/log-level", json={"level": "debug", "expires_in": 600})
        assert logged()
        http.put("/log-level", json={"level": "debug", "expires_in": 0.5})
        service.await_event("control_expired", what="log_level")
        assert silent()
        assert http.get("/log-level").json()["level"] == "error"

    # the watch on the file may have been faster
    assert reloaded["result"] in ("changed", "unchanged")


def test_reload_tells_what_changed_what_waits_and_what_is_wrong(tmp_path):
    """The settings' own rules hold; a broken file changes nothing."""
    file = tmp_path / "config.yaml"
    file.write_text("demo: {delay_max: 0}")
    with controlled("--config", str(file)) as service, operator(service) as http:
        file.write_text("demo: {delay_max: 0.001}\nserver: {backlog: 99}")
        changed = http.post("/reload")
        again = http.post("/reload")
        file.write_text("demo: {delay_max: [}")
        broken = http.post("/reload")
        config = http.get("/config").json()

    # the watch on the file may have been faster with the first of them
    assert changed.json()["result"] in ("changed", "unchanged")
    assert changed.json()["need_restart"] == ["server.backlog"]
    assert again.json()["changed"] == []
    assert broken.status_code == 409
    assert "config.yaml" in broken.json()["problems"][0]
    row = config["settings"]["demo.delay_max"]
    assert (row["value"], row["origin"]) == (0.001, f"{file}:1")
    assert config["settings"]["server.backlog"]["value"] == 2048
    assert TOKEN not in str(config)


def test_new_token_takes_effect_without_a_restart(tmp_path):
    """A Secret that is rotated: the file of its key, in a mounted folder."""
    secret = tmp_path / "server__admin__control__token"
    secret.write_text(f"{TOKEN}\n")
    with serving(
        "--secrets-dir",
        str(tmp_path),
        server__admin__control__enabled=True,
        server__drain_delay=0,
    ) as service:
        url = f"{service.admin_url}/control/readiness"
        before = httpx2.get(url, headers=AUTH)
        secret.write_text("the-next-token-of-some-length")
        new = {"authorization": "Bearer the-next-token-of-some-length"}
        until(lambda: httpx2.get(url, headers=AUTH).status_code == 401)
        after = httpx2.get(url, headers=new)

    assert (before.status_code, after.status_code) == (200, 200)
