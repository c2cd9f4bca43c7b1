"""Spans of the service arrive in a real Jaeger: both ways, and when it goes away."""

import contextlib
import signal
import socket
import time

import httpx2
import pytest

from tests.support import jaeger
from tests.support.certificates import Authority
from tests.support.process import LIMIT, serving
from tests.support.settings_files import replaced
from tests.support.tracing import CALLER
from tests.support.waiting import until

TRACED = {
    "tracing__exporter": "otlp",
    "tracing__interval": 0.2,
    "server__drain_delay": 0,
}

ID = "httpserver__request_id"

FAILURES = "httpserver_trace_export_failures_total"


def to(collector, protocol="grpc", **settings):
    """Settings of a service that sends its spans to *collector*."""
    way = {
        "tracing__otlp__protocol": protocol,
        "tracing__otlp__endpoint": collector.endpoint(protocol),
    }
    return TRACED | way | settings


def get(service, path="/version", **headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.get(f"{service.url}{path}", headers=names)


def counted(service, name):
    """The value of a metric without labels, or the sum over them."""
    text = httpx2.get(f"{service.admin_url}/metrics").text
    lines = [line for line in text.splitlines() if line.startswith(name)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def await_counted(service, name, least):
    end = time.monotonic() + LIMIT
    while (found := counted(service, name)) < least:
        assert time.monotonic() < end, (name, found)
        time.sleep(0.1)


@pytest.fixture(scope="module")
def collector(tmp_path_factory):
    """A Jaeger that anybody may send to."""
    with jaeger.running(tmp_path_factory.mktemp("jaeger")) as found:
        yield found


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_trace_is_found_by_the_request_id(collector, protocol):
    """With what the conventions ask for; its line in the log has the same ids."""
    with serving(**to(collector, protocol)) as service:
        answer = get(service, "/hello", x_request_id=f"by-{protocol}")
        found = collector.await_spans(**{ID: f"by-{protocol}"})["GET /hello"]
        line = service.await_event("request", request_id=f"by-{protocol}")

    assert answer.status_code == 200
    assert found["traceID"] == line["trace_id"]
    assert found["spanID"] == line["span_id"]
    assert found["tags"]["span.kind"] == "server"
    assert found["tags"]["http.route"] == "/hello"
    assert found["tags"]["http.response.status_code"] == 200


def test_trace_of_the_caller_goes_on(collector):
    """Our span is below that of whoever asked."""
    trace, span = CALLER
    with serving(**to(collector, tracing__sample_ratio=0)) as service:
        parent = f"00-{trace}-{span}-01"
        get(service, x_request_id="called", traceparent=parent)
        found = collector.await_spans(**{ID: "called"})["GET /version"]
        line = service.await_event("request", request_id="called")

    assert (found["traceID"], line["trace_id"]) == (trace, trace)
    assert [each["spanID"] for each in found["references"]] == [span]


def test_workers_export_their_own_spans(collector):
    """Each by itself; the scrape has the sum, and the resource tells them apart."""
    with serving(**to(collector, server__workers=2)) as service:
        for number in range(40):
            with httpx2.Client() as client:
                client.get(
                    f"{service.url}/version", headers={"x-request-id": f"w-{number}"}
                )
        await_counted(service, "httpserver_trace_spans_exported_total", 40)
        pids = set()
        for number in range(40):
            collector.await_spans(**{ID: f"w-{number}"})
            for found in collector.traces(**{ID: f"w-{number}"}):
                for process in found["processes"].values():
                    tags = {each["key"]: each["value"] for each in process["tags"]}
                    pids.add(tags["process.pid"])

    assert len(pids) == 2


def test_stop_sends_the_last_spans(collector):
    """SIGTERM right behind the answer, long before the next export is due."""
    with serving(**to(collector, tracing__interval=600)) as service:
        get(service, x_request_id="the-last")
        service.signal(signal.SIGTERM)

        assert service.await_exit() == 0
    assert collector.await_spans(**{ID: "the-last"})


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_encrypted_way_with_a_token(tmp_path, protocol):
    """The authority is that of the settings; the token comes live, from a file."""
    authority = Authority()
    files = authority.issue("127.0.0.1").write(tmp_path / "tls")
    (tmp_path / "ca.crt").write_text(authority.pem)
    token = "Basic c2VydmljZTpwYXNz"  # service:pass
    config = tmp_path / "config.yaml"
    config.write_text("tracing: {otlp: {headers: {authorization: wrong-token}}}\n")
    ca = {"tracing__otlp__ca_file": tmp_path / "ca.crt"}
    with (
        jaeger.running(tmp_path, tls=files, users="service:pass") as secure,
        serving(f"--config={config}", **to(secure, protocol, **ca)) as service,
    ):
        get(service, x_request_id="refused")
        lost = service.await_event("spans_not_exported")
        text = f"tracing: {{otlp: {{headers: {{authorization: {token}}}}}}}\n"
        replaced(config, text)
        service.await_event("settings_reloaded")
        get(service, x_request_id="let-in")
        service.await_event("spans_exported_again")
        found = secure.await_spans(**{ID: "let-in"})
        log = str(service.log)

    assert found
    assert lost["level"] == "warning"
    assert "wrong-token" not in log
    assert token not in log


def test_collector_that_dies_and_comes_back(tmp_path):
    """Requests are served all the while; one line tells of it, one of its return."""
    with contextlib.ExitStack() as life:
        first = life.enter_context(jaeger.running(tmp_path))
        with serving(**to(first, tracing__otlp__timeout=2)) as service:
            get(service, x_request_id="before")
            first.await_spans(**{ID: "before"})
            life.close()
            for number in range(2):
                assert get(service).status_code == 200
                await_counted(service, FAILURES, number + 1)
            with jaeger.running(tmp_path, ports=first.ports) as second:
                get(service, x_request_id="after")
                second.await_spans(**{ID: "after"})
            told = [
                (line["level"], line["event"])
                for line in service.log
                if line["logger"].startswith(("httpserver.tracing", "opentelemetry"))
            ]
            lost = counted(service, "httpserver_trace_spans_dropped_total")

    assert told == [
        ("warning", "spans_not_exported"),
        ("info", "spans_exported_again"),
    ]
    assert lost >= 2


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("answers", [False, True], ids=["nobody", "silent"])
def test_stop_does_not_wait_for_a_collector(protocol, answers):
    """Neither for one that is away nor for one that takes and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        if not answers:
            silent.close()
        endpoint = f"http://127.0.0.1:{port}"
        way = {
            "tracing__otlp__protocol": protocol,
            "tracing__otlp__endpoint": endpoint,
            "tracing__interval": 600,
            "tracing__otlp__timeout": 600,
        }
        with serving(**TRACED | way) as service:
            get(service)
            service.signal(signal.SIGTERM)

            assert service.await_exit() == 0  # its limit is far below the time-outs


def test_console_writes_spans_into_the_log():
    """No collector is needed to look at one."""
    with serving(**TRACED | {"tracing__exporter": "console"}) as service:
        get(service, x_request_id="seen")
        span = service.await_event("span")
        (line,) = until(lambda: service.events("request"))

    assert span["attributes"]["httpserver.request_id"] == "seen"
    assert span["trace_id"] == line["trace_id"]
