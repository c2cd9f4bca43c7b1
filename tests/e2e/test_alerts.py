"""The chart's rules in a real Prometheus: recorded, healthy, fired and resolved."""

import os

import httpx2
import pytest

from tests.support.alertmanager import Alertmanager
from tests.support.alerts import (
    OPERATED,
    alert_state,
    alerting,
    await_alert,
    faulty,
    rules_of,
    shortened_rules,
)
from tests.support.cluster import await_value, forwarded, loaded_inside
from tests.support.prometheus import Prometheus
from tools.alert_rules import groups

NAMESPACE = "httpserver-alerts"

ALERTMANAGER = os.environ.get("E2E_ALERTMANAGER", "http://127.0.0.1:30093")
"""URL of the Alertmanager that the operator's Prometheus tells."""

RULES = [rule for group in groups() for rule in group["rules"]]

BURN = "HttpserverAvailabilityBudgetBurn"


@pytest.fixture(scope="module")
def watched(prometheus_operator, image):
    """The chart with its rules, and users."""
    with alerting(NAMESPACE, image=image) as ns, loaded_inside(ns, "/"):
        yield ns


def test_every_rule_is_taken_and_healthy(watched):
    """The operator hands all of them on, and Prometheus can work each one out."""
    await_value(
        lambda: rules_of(NAMESPACE),
        lambda rules: {rule["health"] for rule in rules} == {"ok"},
        limit=180,
    )

    found = rules_of(NAMESPACE)

    names = sorted(rule.get("alert") or rule["record"] for rule in RULES)
    assert sorted(rule["name"] for rule in found) == names
    assert [rule.get("lastError", "") for rule in found] == [""] * len(found)


def test_every_recording_rule_returns_series(watched):
    """Under traffic, with a failure in it, none of them is empty."""
    with forwarded(watched, "service/httpserver", 80) as port:
        for _ in range(3):
            httpx2.get(f"http://127.0.0.1:{port}/status/503", timeout=20)
    prometheus = Prometheus(OPERATED)

    def empty() -> list[str]:
        names = (rule["record"] for rule in RULES if "record" in rule)
        selector = f'{{namespace="{NAMESPACE}",job="httpserver"}}'
        return [name for name in names if not prometheus.query(name + selector)]

    await_value(empty, lambda names: names == [], limit=240)


def test_healthy_service_alerts_nobody(watched):
    """Under traffic with hardly a failure nothing above `info` fires."""
    alarmed = [
        rule["name"]
        for rule in rules_of(NAMESPACE)
        if rule.get("state", "inactive") == "firing"
        and rule["labels"]["severity"] != "info"
    ]

    assert alarmed == []


def test_injected_fault_fires_alerts_that_resolve(watched):
    """Pending, firing, in Alertmanager with its labels; then resolved in both."""
    alertmanager = Alertmanager(ALERTMANAGER)
    name = "HttpserverErrorRatioHigh"
    with shortened_rules(watched):
        with faulty(watched, rate=0.5, status=500, scope={"route": "/"}):
            await_alert(watched, name, "pending")
            await_alert(watched, name, "firing")
            await_alert(watched, BURN, "firing")
            assert alert_state(NAMESPACE, "HttpserverFaultsInjected") == "firing"
            for each in (name, BURN):
                await_value(
                    lambda each=each: alertmanager.state(each, NAMESPACE),
                    lambda state: state == "active",
                )
            assert labels_of(name) == {
                "alertname": name,
                "severity": "warning",
                "namespace": NAMESPACE,
                "job": "httpserver",
                "route": "/",
            }

        for each in (name, BURN, "HttpserverFaultsInjected"):
            await_alert(watched, each, "inactive", limit=300)
            await_value(
                lambda each=each: alertmanager.state(each, NAMESPACE),
                lambda state: state == "",
            )


def labels_of(name: str) -> dict[str, str]:
    """Return the labels of an alert in Alertmanager, less those of the Prometheus."""
    filters = [f'alertname="{name}"', f'namespace="{NAMESPACE}"']
    url = f"{ALERTMANAGER}/api/v2/alerts"
    (alert,) = httpx2.get(url, params={"filter": filters}, timeout=10).json()
    assert "5xx" in alert["annotations"]["description"]
    own = alert["labels"]
    return {key: own[key] for key in own if not key.startswith("prometheus")}
