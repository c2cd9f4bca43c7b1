"""Upstreams by TLS: who vouches for them, by what name, and what a wrong one is."""

import contextlib
import json
import ssl

import httpx2
import pytest

from tests.support.certificates import DAY, NOW, Authority
from tests.support.proxy import counted, proxying, route
from tests.support.recording_upstream import OK, recording_upstream
from tests.support.waiting import until

NAME = "catalogue.shop.example"

AUTHORITY = Authority()


@contextlib.contextmanager
def secure_upstream(tmp_path, issued):
    """Run an upstream that speaks TLS; give it, and the names that it is asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*issued.write(tmp_path / issued.serial))
    asked = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    with recording_upstream(OK, tls=context) as upstream:
        yield upstream, asked


@pytest.fixture
def ca(tmp_path):
    file = tmp_path / "ca.crt"
    file.write_text(AUTHORITY.pem)
    return file


def test_upstream_is_asked_for_its_name_and_believed(tmp_path, ca):
    """By the authorities of the route, whatever the address is called."""
    with secure_upstream(tmp_path, AUTHORITY.issue(NAME)) as (upstream, asked):
        url = f"https://127.0.0.1:{upstream.port}/base"
        with proxying(route(url, ca_file=str(ca), tls_name=NAME)) as service:
            got = [httpx2.get(f"{service.url}/up/x") for _ in range(3)]

    assert [each.status_code for each in got] == [200] * 3
    assert asked == [NAME]  # once: the connection is kept
    assert [line for line, _, _ in upstream.requests] == [b"GET /base/x HTTP/1.1"] * 3


WRONG = {
    "another name": AUTHORITY.issue("other.example"),
    "another authority": Authority("Somebody").issue(NAME),
    "yesterday": AUTHORITY.issue(NAME, not_before=NOW - 2 * DAY, not_after=NOW - DAY),
}


@pytest.mark.parametrize("issued", WRONG.values(), ids=WRONG.keys())
def test_upstream_that_nobody_vouches_for_gets_nothing(tmp_path, ca, issued):
    """502 that says why, no address in it, and not a byte of the request goes there."""
    with secure_upstream(tmp_path, issued) as (upstream, _):
        url = f"https://localhost:{upstream.port}"
        with proxying(route(url, ca_file=str(ca), tls_name=NAME)) as service:
            got = httpx2.post(f"{service.url}/up/x", content=b"secret")
            event = service.await_event("upstream_failed")
            name = "httpserver_proxy_failures_total"
            count = counted(service, name, reason="certificate")

    assert (got.status_code, got.json()["reason"]) == (502, "certificate")
    assert str(upstream.port) not in got.text
    assert "certificate verify failed" in event["cause"]
    assert upstream.requests == []
    assert count >= 1


def test_host_of_the_upstream_is_its_name_without_another(tmp_path, ca):
    """An address must be in the certificate then; the system does not know ours."""
    with secure_upstream(tmp_path, AUTHORITY.server()) as (upstream, _):
        url = f"https://localhost:{upstream.port}"
        believed = route(url, "/believed/", ca_file=str(ca))
        with proxying(believed, route(url, "/system/")) as service:
            got = [
                httpx2.get(f"{service.url}/{path}/x") for path in ("believed", "system")
            ]

    assert [each.status_code for each in got] == [200, 502]
    assert got[1].json()["reason"] == "certificate"


def test_authorities_change_without_a_restart(tmp_path, ca):
    """A new file holds from the next connection; a broken one changes nothing."""
    issued = AUTHORITY.issue(NAME)
    with secure_upstream(tmp_path, issued) as (upstream, _):
        url = f"https://127.0.0.1:{upstream.port}"
        fields = {"ca_file": str(ca), "tls_name": NAME}
        with proxying(route(url, **fields), proxy__keep_alive=0) as service:

            def status(text):
                ca.write_text(text)
                return httpx2.get(f"{service.url}/up/x").status_code

            other = Authority("Somebody").pem
            found = [status(each) for each in (AUTHORITY.pem, "broken", other)]
            again = status(AUTHORITY.pem + other)
            warned = service.await_event("upstream_authorities_unreadable")

    assert (found, again) == ([200, 200, 502], 200)
    assert warned["file"] == str(ca)


def test_authorities_that_were_never_there_are_a_502(tmp_path):
    """The service runs; the requests of this route fail, and say why."""
    missing = tmp_path / "none.crt"
    with secure_upstream(tmp_path, AUTHORITY.server()) as (upstream, _):
        url = f"https://localhost:{upstream.port}"
        with proxying(route(url, ca_file=str(missing))) as service:
            got = httpx2.get(f"{service.url}/up/x")

    assert (got.status_code, got.json()["reason"]) == (502, "certificate")


def test_workers_share_nothing_and_all_of_them_forward():
    """Each has connections and a breaker of its own; the metrics are of all."""
    with (
        recording_upstream(OK) as upstream,
        proxying(route(upstream.url), server__workers=2) as service,
    ):
        statuses = []
        for _ in range(40):  # a connection each, so that both workers get some
            with httpx2.Client() as client:
                got = client.get(f"{service.url}/up/x")
                statuses.append(got.status_code)
        requests = "httpserver_proxy_requests_total"
        until(lambda: counted(service, requests, result="2xx") == 40)
        workers = {line["worker"] for line in service.events("request")}

    assert statuses == [200] * 40
    assert len(workers) == 2


def test_name_that_leads_where_nothing_may_go_is_403():
    """Nothing connects to it, and the breaker takes it for no illness (row 61)."""
    with recording_upstream(OK) as upstream:
        url = f"http://localhost:{upstream.port}"
        networks = json.dumps(["127.0.0.0/8", "::1/128"])
        with proxying(
            route(url),
            route(upstream.url, "/fixed/"),
            proxy__forbidden_networks=networks,
        ) as service:
            got = [httpx2.get(f"{service.url}/up/x") for _ in range(25)]
            fixed = httpx2.get(f"{service.url}/fixed/x")
            event = service.await_event("upstream_failed")

    assert {(each.status_code, each.json()["reason"]) for each in got} == {
        (403, "forbidden_address")
    }
    assert str(upstream.port) not in got[0].text
    assert "localhost is" in event["cause"]
    assert (fixed.status_code, upstream.connections) == (200, 1)


def test_discovered_endpoint_where_nothing_may_go_is_passed_over():
    """Requests go to the others; without any other they are 403 (row 61)."""
    with recording_upstream(OK) as upstream:
        evil, good = "169.254.169.254:80", f"127.0.0.1:{upstream.port}"
        services = {
            "mixed": {"source": "static", "endpoints": [evil, good]},
            "evil": {"source": "static", "endpoints": [evil]},
        }
        with proxying(
            route("service://mixed", "/mixed/"),
            route("service://evil", "/evil/"),
            discovery__services=json.dumps(services),
        ) as service:
            mixed = [
                httpx2.get(f"{service.url}/mixed/x").status_code for _ in range(20)
            ]
            refused = httpx2.get(f"{service.url}/evil/x")

    assert mixed == [200] * 20
    assert (refused.status_code, refused.json()["reason"]) == (403, "forbidden_address")
