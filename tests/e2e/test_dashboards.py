"""The dashboards as the chart brings them, filled by the Prometheus of the cluster."""

import contextlib
import json
import time

import httpx2
import pytest

from tests.support.alerts import OPERATED, alerting
from tests.support.cluster import await_value, kubectl, loaded_inside
from tests.support.grafana import asked, has_data, interpolated
from tests.support.prometheus import Prometheus
from tools.dashboards import DASHBOARDS, MAY_BE_EMPTY

NAMESPACE = "httpserver-dashboards"

LIMIT = 900.0
"""Seconds until every panel shows something: the rules of long windows are worked out
every two minutes."""

SINCE = 3600.0
"""Seconds of which the marks are looked at: the pods started some time ago."""

VALUES = {
    "namespace": [NAMESPACE],
    "job": ["httpserver"],
    "pod": ".*",
    "route": ".*",
    "availability_objective": "0.999",
    "latency_objective": "0.99",
    "__rate_interval": "1m",
    "__range": "900s",
}

REHEARSAL = {
    "apiVersion": "monitoring.coreos.com/v1",
    "kind": "PrometheusRule",
    "metadata": {"name": "rehearsal"},
    "spec": {
        "groups": [
            {
                "name": "rehearsal",
                "rules": [
                    {
                        "alert": "HttpserverRehearsal",
                        "expr": f'up{{namespace="{NAMESPACE}"}} == 1',
                        "labels": {"severity": "none"},
                    }
                ],
            }
        ]
    },
}
"""An alert that always fires: the dashboards show alerts too."""


@pytest.fixture(scope="module")
def installed(prometheus_operator, image):
    """The chart with dashboards, scraping, rules and TLS, and users of every kind."""
    options = (
        "--values", "helm/httpserver/ci/own-ca-values.yaml",
        "--set", f"ingress.hosts[0].host={NAMESPACE}.example.com",
        "--set", "dashboards.enabled=true,config.server.tls.enabled=true",
    )  # fmt: skip
    with alerting(NAMESPACE, *options, image=image) as ns:
        ns.kubectl("create", "-f", "-", stdin=json.dumps(REHEARSAL))
        ns.await_https()
        with loaded_inside(ns, "/"):
            yield ns


def use(ns):
    """Come through the ingress, with success and without."""
    trust = ns.trust()
    for path in ("/", "/hello", "/status/500", "/nowhere"):
        ns.ask(path, trust=trust)
    ns.ask("/echo", method="POST", trust=trust, content=b"x" * 100)
    login = {"username": "ann", "password": "wrong"}
    ns.ask("/user/login", method="POST", trust=trust, json=login)


def dashboards():
    """The dashboards of the ConfigMaps that a sidecar would find, by uid."""
    selector = ("-n", NAMESPACE, "-l", "grafana_dashboard=1")
    found = json.loads(kubectl("get", "configmap", *selector, "-o", "json"))["items"]
    texts = [text for each in found for text in each["data"].values()]
    return {json.loads(text)["uid"]: text for text in texts}


def test_every_query_returns_data_of_the_cluster(installed):
    """Read back from the ConfigMaps, each is answered by the operator's Prometheus."""
    prometheus = Prometheus(OPERATED)
    found = dashboards()
    left = [
        each
        for text in found.values()
        for each in asked(text)
        if each.source == "prometheus" and each.where not in MAY_BE_EMPTY
    ]
    total = len(left)
    end = time.monotonic() + LIMIT
    while left and time.monotonic() < end:
        # late or away, both are asked again
        with contextlib.suppress(AssertionError, httpx2.HTTPError, OSError, ValueError):
            use(installed)
            left = [each for each in left if not has_data(prometheus, each, VALUES)]
        time.sleep(2)

    assert found.keys() == {f"httpserver-{name}" for name in DASHBOARDS}
    assert total > 70
    assert {each.where: interpolated(each.expr, VALUES) for each in left} == {}


@pytest.mark.parametrize("where", ["Alerts", "Starts", "Versions"])
def test_what_happened_is_marked(installed, where):
    """The pods started, their version is new, and an alert fires."""
    prometheus = Prometheus(OPERATED)
    marks = {
        each
        for text in dashboards().values()
        for each in asked(text)
        if each.where == where
    }

    def unmarked() -> list[str]:
        return [
            each.expr
            for each in marks
            if not has_data(prometheus, each, VALUES, seconds=SINCE)
        ]

    assert marks
    assert await_value(unmarked, lambda left: left == []) == []
