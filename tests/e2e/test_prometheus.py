"""The latency of the random delay, asked of two Prometheus servers."""

import asyncio
import math
import os
import shutil
from pathlib import Path

import pytest
import yaml

from service.settings import Settings
from tests.support.cluster import (
    LIMIT,
    Namespace,
    await_value,
    kubectl,
    loaded,
    namespace,
)
from tests.support.prometheus import Prometheus, running

OPERATED = os.environ.get("E2E_PROMETHEUS", "http://127.0.0.1:30090")
"""URL of the Prometheus that the operator keeps."""

QUANTILE = (
    "histogram_quantile({q}, sum by (le) (rate("
    'http_request_duration_seconds_bucket{{namespace="{ns}",route="/",status="200"}}'
    "[5m])))"
)

CONFIG = Path("helm/monitoring/prometheus.yaml")

SECONDS = 30
"""How long requests are sent at least: several scrapes."""

ENOUGH = 800
"""Requests whose quantiles are near those of all."""

BUCKETS = Settings().metrics.buckets
"""Upper bounds of the histogram, in seconds."""


@pytest.fixture(scope="module")
def monitored(prometheus_operator):
    """The service with its ServiceMonitor and PodMonitor."""
    with namespace("httpserver") as ns:
        kubectl("apply", "-k", "k8s/tests/monitored")
        ns.await_rollout()
        ns.await_https()
        yield ns


async def send_requests(ns: Namespace) -> list[float]:
    """Ask for the random delay, many times at once; return what clients waited."""
    async with loaded(ns, "/", clients=30, pause=0) as load:
        await asyncio.sleep(SECONDS)
        while load.answers["200"] < ENOUGH:
            await asyncio.sleep(1)
    assert load.failed == {}
    return sorted(load.seconds)


def check_quantiles(
    prometheus: Prometheus, ns: Namespace, waited: list[float]
) -> dict[str, float]:
    """
    Compare the quantiles with those of a uniform delay of 0 to 2 s.

    None is above the bucket's end that is above what clients waited: a busy machine
    adds to all delays, and between two bounds the histogram only guesses.
    """
    found = {}
    for q, delay in ((0.5, 1.0), (0.9, 1.8), (0.99, 1.98)):
        query = QUANTILE.format(q=q, ns=ns.name)
        value = await_value(lambda query=query: prometheus.value(query), bool)
        longest = max(delay, waited[int(q * len(waited))])
        bound = next((each for each in BUCKETS if each >= longest), math.inf)
        assert delay - 0.15 <= value <= bound + 0.15, (q, value, longest)
        found[f"p{q * 100:g}"] = round(value, 3)
    return found


def up(prometheus: Prometheus, job: str, ns: Namespace) -> list[float]:
    """Whether each target of the namespace answers."""
    expression = f'up{{namespace="{ns.name}",job=~"{job}"}}'
    return [value for _labels, value in prometheus.query(expression)]


async def test_operators_prometheus_tells_the_latency(monitored, record_property):
    """Found by ServiceMonitor and PodMonitor; p50, p90, p99 near 1.0, 1.8, 2.0 s."""
    prometheus = Prometheus(OPERATED)
    await asyncio.to_thread(
        await_value,
        lambda: up(prometheus, "httpserver", monitored),
        lambda targets: len(targets) == 6 and set(targets) == {1.0},
        # a target of a namespace of this name that is gone counts for five minutes
        limit=2 * LIMIT,
    )
    waited = await send_requests(monitored)

    found = check_quantiles(prometheus, monitored, waited)
    record_property("quantiles", found)
    print("quantiles by the operator's Prometheus:", found)


async def test_plain_prometheus_finds_the_pods_by_annotation(monitored, tmp_path):
    """Without an operator the pod annotations are enough."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not on PATH")
    config = yaml.safe_load(CONFIG.read_text())
    config["global"]["scrape_interval"] = "5s"
    for job in config["scrape_configs"]:
        for discovery in job["kubernetes_sd_configs"]:
            discovery["kubeconfig_file"] = os.environ["KUBECONFIG"]
            discovery["namespaces"] = {"names": [monitored.name]}
    with running(yaml.safe_dump(config), tmp_path) as prometheus:
        await asyncio.to_thread(
            await_value,
            lambda: up(prometheus, "httpserver", monitored),
            lambda targets: len(targets) == 3 and set(targets) == {1.0},
        )
        waited = await send_requests(monitored)
        found = check_quantiles(prometheus, monitored, waited)
        print("quantiles by annotations:", found)
