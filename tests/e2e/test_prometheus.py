"""The latency of the random delay, asked of two Prometheus servers."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest
import yaml

from tests.support.cluster import Namespace, await_value, kubectl, loaded, namespace
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
"""How long requests are sent: several scrapes."""


@pytest.fixture(scope="module")
def monitored(prometheus_operator):
    """The service with its ServiceMonitor and PodMonitor."""
    with namespace("httpserver") as ns:
        kubectl("apply", "-k", "k8s/tests/monitored")
        ns.await_rollout()
        ns.await_https()
        yield ns


async def send_requests(ns: Namespace) -> None:
    """Ask for the random delay, many times at once."""
    async with loaded(ns, "/", clients=30, pause=0) as load:
        await asyncio.sleep(SECONDS)
    assert load.failed == {}
    assert load.answers["200"] > 30 * SECONDS / 2


def check_quantiles(prometheus: Prometheus, ns: Namespace) -> dict[str, float]:
    """Compare the quantiles with those of a uniform delay of 0 to 2 s."""
    found = {}
    for q, expected in ((0.5, 1.0), (0.9, 1.8), (0.99, 1.98)):
        value = prometheus.value(QUANTILE.format(q=q, ns=ns.name))
        assert value == pytest.approx(expected, abs=0.15), (q, value)
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
        limit=180,
    )
    await send_requests(monitored)

    found = check_quantiles(prometheus, monitored)
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
        await send_requests(monitored)
        print("quantiles by annotations:", check_quantiles(prometheus, monitored))
