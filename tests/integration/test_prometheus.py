"""A real Prometheus scrapes the service and finds the random delay's distribution."""

import asyncio
import shutil
import subprocess
import time

import httpx2
import pytest
import yaml

from tests.support.process import serving
from tests.support.prometheus import running

REQUESTS = 200
"""Enough that a sampled quantile is off by more than TOLERANCE once in millions."""

TOLERANCE = 0.4
"""Seconds that a quantile may be off by chance, or since the machine is busy."""

LIMIT = 60.0
"""Seconds until an awaited value must be there."""

SERIES = 'http_request_duration_seconds_{}{{route="/",status="200"}}'


def scrape_config(admin_url: str) -> str:
    target = {"targets": [admin_url.removeprefix("http://")]}
    job = {"job_name": "httpserver", "static_configs": [target]}
    timing = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    return yaml.safe_dump({"global": timing, "scrape_configs": [job]})


async def await_value(prometheus, expression: str, expected: float) -> None:
    end = time.monotonic() + LIMIT
    found = None
    while time.monotonic() < end:
        found = await asyncio.to_thread(prometheus.value, expression)
        if found == expected:
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"{expression} is {found}, not {expected}")


async def fetch_at_once(url: str, count: int) -> None:
    limits = httpx2.Limits(max_connections=count)
    async with httpx2.AsyncClient(limits=limits, timeout=LIMIT) as client:
        answers = await asyncio.gather(*(client.get(url) for _ in range(count)))
    assert {answer.status_code for answer in answers} == {200}


async def test_quantiles_of_the_random_delay_are_those_of_its_distribution(tmp_path):
    """Uniform between 0 and 2 s: p50, p90 and p99 are near 1.0, 1.8 and 2.0 s."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not on PATH")
    rate = f"sum by (le) (rate({SERIES.format('bucket')}[1m]))"
    found = {}
    with serving() as service:
        await fetch_at_once(service.url, 1)
        with running(scrape_config(service.admin_url), tmp_path) as prometheus:
            await await_value(prometheus, "up", 1)
            await await_value(prometheus, SERIES.format("count"), 1)
            await fetch_at_once(service.url, REQUESTS)
            await await_value(prometheus, SERIES.format("count"), REQUESTS + 1)
            await await_value(prometheus, "http_requests_in_flight", 0)
            for q in (0.5, 0.9, 0.99):
                found[q] = prometheus.value(f"histogram_quantile({q}, {rate})")

    assert found[0.5] == pytest.approx(1.0, abs=TOLERANCE)
    assert found[0.9] == pytest.approx(1.8, abs=TOLERANCE)
    assert found[0.99] == pytest.approx(2.0, abs=TOLERANCE)


async def test_promtool_has_nothing_to_say_of_the_metrics():
    """Names, units, types and helps are as Prometheus asks for."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not on PATH")
    with serving() as service:
        async with httpx2.AsyncClient() as client:
            await client.get(f"{service.url}/hello")
            await client.get(f"{service.url}/nowhere")
            exposition = (await client.get(f"{service.admin_url}/metrics")).content

    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=exposition, capture_output=True
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


async def test_native_histogram_beside_the_classic_buckets(tmp_path):
    """What the chart's `nativeHistograms` asks of the operator, asked of Prometheus."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not on PATH")
    with serving(flags__random_delay="false") as service:
        config = yaml.safe_load(scrape_config(service.admin_url))
        config["scrape_configs"][0] |= {
            "convert_classic_histograms_to_nhcb": True,
            "always_scrape_classic_histograms": True,
        }
        await fetch_at_once(service.url, 10)
        text = yaml.safe_dump(config)
        with running(text, tmp_path) as prometheus:
            native = 'histogram_count(http_request_duration_seconds{route="/"})'
            await await_value(prometheus, native, 10)
            await await_value(prometheus, SERIES.format("count"), 10)
            quantile = prometheus.value(
                'histogram_quantile(0.9, http_request_duration_seconds{route="/"})'
            )

    assert quantile is not None
    assert 0 < quantile < 10
