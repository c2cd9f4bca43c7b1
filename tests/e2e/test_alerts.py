"""The chart's rules in a real Prometheus: recorded, healthy, fired and resolved."""

import os
import secrets

import httpx2
import pytest

from tests.support.alertmanager import Alertmanager
from tests.support.alerts import (
    OPERATED,
    alerting,
    await_alert,
    faulty,
    rules_of,
    shortened_rules,
)
from tests.support.cluster import LIMIT, await_value, forwarded, loaded_inside
from tests.support.prometheus import Prometheus
from tools.alert_rules import groups

NAMESPACE = f"httpserver-alerts-{secrets.token_hex(2)}"
"""Another one each time: Prometheus remembers the last one's errors for an hour."""

ALERTMANAGER = os.environ.get("E2E_ALERTMANAGER", "http://127.0.0.1:30093")
"""URL of the Alertmanager that the operator's Prometheus tells."""

RULES = [rule for group in groups() for rule in group["rules"]]

BURN = "HttpserverAvailabilityBudgetBurn"

STALLS = "HttpserverEventLoopStalls"
"""Fires at once, and rightly, where a busy machine holds a process up for a second."""


@pytest.fixture(scope="module")
def watched(prometheus_operator, image):
    """The chart with its rules, and users."""
    with alerting(NAMESPACE, image=image) as ns, loaded_inside(ns, "/"):
        yield ns


def test_every_rule_is_taken_and_healthy(watched):
    """The operator hands all of them on, and Prometheus can work each one out."""
    names = sorted(rule.get("alert") or rule["record"] for rule in RULES)
    sound = [(name, "ok", "") for name in names]

    def told() -> list[tuple[str, str, str]]:
        return sorted(
            (rule["name"], rule["health"], rule.get("lastError", ""))
            for rule in rules_of(NAMESPACE)
        )

    assert await_value(told, lambda found: found == sound) == sound


def test_every_recording_rule_returns_series(watched):
    """Under traffic, with a failure in it, none of them is empty."""
    with forwarded(watched, "service/httpserver", 80) as port:
        with httpx2.Client(transport=httpx2.HTTPTransport(retries=5)) as client:
            for _ in range(3):
                client.get(f"http://127.0.0.1:{port}/status/503")
    prometheus = Prometheus(OPERATED)

    def empty() -> list[str]:
        names = (rule["record"] for rule in RULES if "record" in rule)
        selector = f'{{namespace="{NAMESPACE}",job="httpserver"}}'
        return [name for name in names if not prometheus.query(name + selector)]

    await_value(empty, lambda names: names == [], limit=2 * LIMIT)


def test_healthy_service_alerts_nobody(watched):
    """Under traffic with hardly a failure nothing above `info` fires."""
    alarmed = [
        rule["name"]
        for rule in rules_of(NAMESPACE)
        if rule.get("state", "inactive") == "firing"
        and rule["labels"]["severity"] != "info"
        and rule["name"] != STALLS
    ]

    assert alarmed == []


def test_injected_fault_fires_alerts_that_resolve(watched):
    """Pending, firing, in Alertmanager with its labels; then resolved in both."""
    alertmanager = Alertmanager(ALERTMANAGER)
    name = "HttpserverErrorRatioHigh"
    was_pending = (
        f'max_over_time(ALERTS{{alertname="{name}",namespace="{NAMESPACE}",'
        'alertstate="pending"}[15m])'
    )
    with shortened_rules(watched):
        with faulty(watched, rate=0.5, status=500, scope={"route": "/"}):
            for each in (name, BURN, "HttpserverFaultsInjected"):
                await_alert(watched, each, "firing")
            assert Prometheus(OPERATED).query(was_pending)
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
            await_alert(watched, each, "inactive")
            await_value(
                lambda each=each: alertmanager.state(each, NAMESPACE),
                lambda state: state == "",
            )


def labels_of(name: str) -> dict[str, str]:
    """Return the labels of an alert in Alertmanager, less those of the Prometheus."""
    filters = [f'alertname="{name}"', f'namespace="{NAMESPACE}"']
    url = f"{ALERTMANAGER}/api/v2/alerts"
    (alert,) = httpx2.get(url, params={"filter": filters}, timeout=60).json()
    assert "5xx" in alert["annotations"]["description"]
    own = alert["labels"]
    return {key: own[key] for key in own if not key.startswith("prometheus")}
