"""From Alertmanager to the mail and the phone, on the cluster."""

import base64
from collections.abc import Iterator

import pytest

from tests.support.cluster import await_value, namespace
from tests.support.notifications import ACCOUNT, World, reached
from tests.support.sms import PROVIDER_TOKEN, RECIPIENTS, WEBHOOK_TOKEN

NAMESPACE = "httpserver-notifications"


@pytest.fixture(scope="module")
def world(prometheus_operator, image, tmp_path_factory) -> Iterator[World]:
    """Everything but the provider, which comes later."""
    with namespace(NAMESPACE) as ns:
        ns.create()
        found = World(ns, image, tmp_path_factory.mktemp("gateway"))
        found.start_mail()
        found.install_gateway()
        found.start_alertmanager()
        yield found


def test_alert_reaches_mail_and_phone_and_so_does_its_end(world):
    """The mail at once; the texts when the provider, away at first, is there."""
    labels = {
        "alertname": "HttpserverDown",
        "severity": "critical",
        "namespace": "shop",
    }
    with reached(world.ns) as alertmanager:
        alertmanager.post(**labels, summary="No pod of the service answers")
    await_value(world.subjects, bool)
    await_value(world.results, bool)
    world.start_provider()
    await_value(lambda: world.texts("FIRING"), lambda to: len(to) >= 2)
    with reached(world.ns) as alertmanager:
        alertmanager.post(**labels, firing=False)
    await_value(lambda: world.texts("RESOLVED"), lambda to: len(to) >= 2)
    await_value(world.subjects, lambda found: len({*found}) == 2)

    account = base64.b64encode(f"{ACCOUNT}:{PROVIDER_TOKEN}".encode()).decode()
    expected = "FIRING critical HttpserverDown shop: No pod of the service answers"
    assert world.results()[0] == "failed"
    assert world.texts(expected) == RECIPIENTS
    assert world.texts("FIRING") == RECIPIENTS
    assert world.texts("RESOLVED critical HttpserverDown shop") == RECIPIENTS
    assert {each["authorization"] for each in world.lines("pod/provider")} == {
        f"Basic {account}"
    }
    # Alertmanager promises a mail at least once
    assert list(dict.fromkeys(world.subjects())) == [
        "FIRING critical HttpserverDown in shop",
        "RESOLVED critical HttpserverDown in shop",
    ]


def test_gateways_log_tells_no_secret(world):
    """Neither tokens nor numbers, whatever has gone wrong."""
    text = world.ns.kubectl("logs", "deployment/httpserver-sms", "--tail=-1")

    assert text
    for each in (PROVIDER_TOKEN, WEBHOOK_TOKEN, *(to[1:] for to in RECIPIENTS)):
        assert each not in text
