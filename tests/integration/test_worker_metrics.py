"""Several worker processes and one scrape: sums that are right and never fall."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.observability.metrics import (
    MULTIPROCESS_VARIABLE,
    Metrics,
    mark_worker_dead,
)
from service.settings import MetricsSettings
from tests.support.process import serving

WORKER = """
import os, sys
from pathlib import Path
from service.observability.metrics import Metrics
from service.settings import MetricsSettings

shared = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
metrics = Metrics(MetricsSettings(), version="1", multiprocess_dir=shared)
for _ in range(int(sys.argv[1])):
    metrics.http.begin()
    metrics.http.end(method="GET", route="/", status=200, duration=0.15,
                     request_bytes=2, response_bytes=10)
metrics.http.begin()
metrics.random_delay.observe(0.3)
metrics.loop_lag.labels("main").observe(0.002)
metrics.publish()
print("done", flush=True)
sys.stdin.read()
"""

REQUEST = {"method": "GET", "route": "/", "status": "200"}

SIZES = {"method": "GET", "route": "/"}


class Scrape:
    """One exposition, read as Prometheus reads it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = list(text_string_to_metric_families(text))

    def value(self, series: str, **labels: str) -> float | None:
        found = [
            sample.value
            for family in self.families
            for sample in family.samples
            if sample.name == series and sample.labels == labels
        ]
        assert len(found) <= 1, (series, labels)
        return found[0] if found else None


@pytest.fixture
def parent(tmp_path):
    return Metrics(MetricsSettings(), version="1", multiprocess_dir=tmp_path)


def scrape(parent: Metrics) -> Scrape:
    return Scrape(parent.render("")[0].decode())


@pytest.fixture
def workers(tmp_path):
    """Two workers that have counted 3 and 4 requests and have one open each."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(count)],
            env=os.environ | {MULTIPROCESS_VARIABLE: str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for count in (3, 4)
    ]
    for process in processes:
        assert process.stdout.readline() == b"done\n"
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def test_parent_adds_up_what_its_workers_counted(workers, parent):
    """Counters, histograms, summaries and gauges of requests are sums."""
    seen = scrape(parent)

    assert seen.value("http_requests_total", **REQUEST) == 7
    assert seen.value("http_requests_in_flight") == 2
    for le, count in (("0.1", 0), ("0.2", 7), ("+Inf", 7)):
        bucket = seen.value("http_request_duration_seconds_bucket", **REQUEST, le=le)
        assert bucket == count
    assert seen.value("http_request_duration_seconds_count", **REQUEST) == 7
    duration = seen.value("http_request_duration_seconds_sum", **REQUEST)
    assert duration == pytest.approx(7 * 0.15)
    assert seen.value("http_request_size_bytes_sum", **SIZES) == 14
    assert seen.value("http_response_size_bytes_count", **SIZES) == 7
    assert seen.value("httpserver_random_delay_seconds_count") == 2
    assert seen.value("httpserver_event_loop_lag_seconds_count", loop="main") == 2


def test_dead_worker_keeps_its_counts_and_loses_its_open_requests(
    workers, parent, tmp_path
):
    """What was counted stays counted; what was open is open no more."""
    workers[0].kill()
    workers[0].wait()
    mark_worker_dead(tmp_path, workers[0].pid)
    seen = scrape(parent)

    assert seen.value("http_requests_in_flight") == 1
    assert seen.value("http_requests_total", **REQUEST) == 7


def test_every_family_is_there_once(workers, parent):
    """Neither the parent's copy of a worker's metric nor the other way round."""
    seen = scrape(parent)

    names = re.findall(r"^# TYPE (\S+)", seen.text, re.MULTILINE)
    assert len(names) == len(set(names))
    alone = scrape(Metrics(MetricsSettings(), version="1"))
    # files of workers know no family of which there is no sample yet
    measured = {family.name for family in alone.families if family.samples}
    assert measured <= {family.name for family in seen.families}
    keys = [
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in seen.families
        for sample in family.samples
    ]
    assert len(keys) == len(set(keys))


def test_parent_tells_what_only_it_knows(workers, parent):
    """Its own phase, settings, interpreter; memory and CPU of the whole service."""
    alone = Scrape(
        Metrics(MetricsSettings(), version="1").render("")[0].decode()
    ).value("process_resident_memory_bytes")
    parent.lifecycle.enter("ready")
    parent.reloaded("failed")
    seen = scrape(parent)

    assert seen.value("httpserver_lifecycle_phase", phase="ready") == 1
    assert seen.value("httpserver_config_reload_success") == 0
    assert seen.value("process_start_time_seconds") > 0
    assert seen.value("process_resident_memory_bytes") > alone
    pids = [sample.labels.get("pid") for f in seen.families for sample in f.samples]
    assert pids == [None] * len(pids)


async def read(client, service) -> Scrape:
    return Scrape((await client.get(f"{service.admin_url}/metrics")).text)


async def await_scrape(client, service, condition) -> Scrape:
    """Scrape until *condition* holds, or fail."""
    end = time.monotonic() + 60
    while not condition(seen := await read(client, service)):
        assert time.monotonic() < end, seen.text
        await asyncio.sleep(0.05)
    return seen


HELLO = {"method": "GET", "route": "/hello", "status": "200"}


async def test_service_with_workers_counts_every_request_once():
    """Forty requests over two workers are forty, and stay so when a worker dies."""
    with serving(server__workers=2) as service:
        pids = [line["pid"] for line in service.events("worker_started")]
        async with httpx2.AsyncClient(timeout=60) as client:
            asked = [client.get(f"{service.url}/hello") for _ in range(40)]
            answers = await asyncio.gather(*asked)
            assert {each.status_code for each in answers} == {200}
            await await_scrape(
                client,
                service,
                lambda seen: seen.value("http_requests_total", **HELLO) == 40,
            )
            os.kill(pids[0], signal.SIGKILL)
            service.await_event("worker_died", pid=pids[0])
            service.await_event("worker_started")
            seen = await await_scrape(
                client,
                service,
                lambda seen: seen.value("http_requests_in_flight") == 0,
            )

    assert seen.value("http_requests_total", **HELLO) == 40


async def test_latency_of_every_worker_is_told_by_any():
    """Whichever worker is asked tells the requests of all, also of one that died."""
    with serving(server__workers=2, flags__random_delay="false") as service:
        pids = [line["pid"] for line in service.events("worker_started")]
        async with httpx2.AsyncClient(timeout=60) as client:
            asked = [client.get(service.url) for _ in range(40)]
            await asyncio.gather(*asked)
            await await_told(service, 40)
            os.kill(pids[0], signal.SIGKILL)
            service.await_event("worker_died", pid=pids[0])
            await await_told(service, 40)


async def await_told(service, wanted: int) -> None:
    """Ask `/latency` on new connections until each of ten answers tells *wanted*."""
    end = time.monotonic() + 60
    headers = {"connection": "close"}
    async with httpx2.AsyncClient(timeout=60, headers=headers) as client:
        while True:
            answers = [await client.get(f"{service.url}/latency") for _ in range(10)]
            told = [each.json()["since_start"]["count"] for each in answers]
            if told == [wanted] * 10:
                return
            assert time.monotonic() < end, told
            await asyncio.sleep(0.1)


def agree(seen: Scrape, requests: list[asyncio.Task[httpx2.Response]]) -> bool:
    """Whether as many requests are said to be open as really are."""
    is_open = [not each.done() for each in requests]
    return (seen.value("http_requests_in_flight") or 0) == sum(is_open)


async def test_open_requests_of_a_killed_worker_vanish():
    """The gauge falls to what the other worker really has, and then to nothing."""
    with serving(server__workers=2, demo__delay_limit=60) as service:
        pids = [line["pid"] for line in service.events("worker_started")]
        async with httpx2.AsyncClient(timeout=60) as client:
            slow = [
                asyncio.create_task(client.get(f"{service.url}/delay/60"))
                for _ in range(16)
            ]
            await await_scrape(
                client,
                service,
                lambda seen: seen.value("http_requests_in_flight") == 16,
            )
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
                service.await_event("worker_died", pid=pid)
                await await_scrape(client, service, lambda seen: agree(seen, slow))
            ended = await asyncio.gather(*slow, return_exceptions=True)

    assert all(isinstance(each, httpx2.HTTPError) for each in ended)
