"""Metrics that are pushed arrive as those that are scraped: real receivers."""

import asyncio
import concurrent.futures
import shutil
import socket
import time

import grpc
import httpx2
import pytest
from opentelemetry.proto.collector.metrics.v1 import (
    metrics_service_pb2,
    metrics_service_pb2_grpc,
)

from tests.support.process import serving
from tests.support.prometheus import running
from tests.support.scrape import await_value

QUICK = {
    "metrics__push__exporter": "otlp",
    "metrics__push__interval": 0.2,
    "server__drain_delay": 0,
}


async def awaited(get, wanted, *, limit=60.0):
    """Return what *get* gives once it is *wanted*."""
    end = time.monotonic() + limit
    while True:
        value = await asyncio.to_thread(get)
        if wanted(value):
            return value
        assert time.monotonic() < end, value
        await asyncio.sleep(0.1)


@pytest.fixture
def prometheus(tmp_path):
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not on PATH")
    with running("{}", tmp_path, "--web.enable-otlp-receiver") as server:
        yield server


@pytest.mark.parametrize("workers", [1, 2])
async def test_prometheus_has_the_names_of_a_scrape(prometheus, workers):
    """Counter, gauge, histogram and summary arrive, with job and instance."""
    endpoint = f"{prometheus.url}/api/v1/otlp"
    options = QUICK | {
        "metrics__push__otlp__protocol": "http",
        "metrics__push__otlp__endpoint": endpoint,
        "server__workers": workers,
    }
    with serving(**options) as service:
        for _ in range(20):
            httpx2.get(f"{service.url}/version").raise_for_status()
        asked = 'http_requests_total{job="httpserver",route="/version"}'
        await awaited(lambda: prometheus.value(asked), lambda value: value == 20)
        scrape = httpx2.get(f"{service.admin_url}/metrics", timeout=60).text
        names = {
            line.partition("{")[0].split(" ")[0]
            for line in scrape.splitlines()
            if not line.startswith("#")
        }
        await awaited(lambda: names - pushed(prometheus), lambda missing: not missing)


def pushed(prometheus):
    """Return the names that Prometheus has."""
    url = f"{prometheus.url}/api/v1/label/__name__/values"
    return set(httpx2.get(url, timeout=60).json()["data"])


class Receiver(metrics_service_pb2_grpc.MetricsServiceServicer):
    """Keeps what it is given."""

    def __init__(self):
        self.requests = []
        self.headers = []

    def Export(self, request, context):  # noqa: N802 - the protocol's name
        self.requests.append(request)
        self.headers.append(dict(context.invocation_metadata()))
        return metrics_service_pb2.ExportMetricsServiceResponse()

    def total(self, name):
        """The sum of a counter in the last request that has it."""
        for request in reversed(self.requests):
            for metric in request.resource_metrics[0].scope_metrics[0].metrics:
                if metric.name == name:
                    points = metric.sum.data_points
                    return sum(point.as_double for point in points)
        return None


@pytest.fixture
def receiver():
    """A gRPC receiver of metrics; its port is its attribute."""
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    result = Receiver()
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(result, server)
    result.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield result
    server.stop(0).wait()


def test_last_push_has_what_the_end_counted(receiver):
    """With gRPC, a header, and an interval that never comes: the stop pushes."""
    options = QUICK | {
        "metrics__push__interval": 3600,
        "metrics__push__otlp__endpoint": f"http://127.0.0.1:{receiver.port}",
        "metrics__push__otlp__headers": '{"x-token": "open-sesame"}',
    }
    with serving(**options) as service:
        for _ in range(3):
            httpx2.get(f"{service.url}/version").raise_for_status()
        service.signal(15)
        code = service.await_exit()
    resource = receiver.requests[0].resource_metrics[0].resource
    attributes = {each.key: each.value.string_value for each in resource.attributes}

    assert code == 0
    assert receiver.total("http_requests") == 3
    assert receiver.headers[0]["x-token"] == "open-sesame"
    assert attributes["service.name"] == "httpserver"
    assert "service.instance.id" in attributes


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_collector_that_is_away_neither_fails_nor_holds_the_service(protocol):
    """Failures are counted, told once with the cause, and the process ends in time."""
    options = QUICK | {
        "metrics__push__otlp__endpoint": "http://127.0.0.1:9",
        "metrics__push__otlp__protocol": protocol,
        "metrics__push__otlp__timeout": 0.2,
    }
    with serving(**options) as service:
        told = service.await_event("metrics_push_failed")
        await_value(service, 'httpserver_metrics_pushes_total{result="failure"}', 3)
        service.signal(15)
        code = service.await_exit()

    assert code == 0
    assert "Failed to export" in told["reason"]
    assert len(service.events("metrics_push_failed")) == 1
    assert [each for each in service.log if "opentelemetry" in each["logger"]] == []


@pytest.fixture
def silent():
    """A collector that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_collector_that_is_silent_does_not_hold_the_end(silent, protocol):
    """A push that nobody answers is given up, long before its own time-out."""
    options = QUICK | {
        "metrics__push__otlp__endpoint": silent,
        "metrics__push__otlp__protocol": protocol,
        "metrics__push__otlp__timeout": 600,
    }
    with serving(**options) as service:
        service.signal(15)
        code = service.await_exit()  # its limit is far below the time-out

    assert code == 0
    assert service.events("metrics_push_failed")[0]["reason"]
