"""
From failing requests to the mail and the phone, on the cluster, with nothing left out:
the service, its rules, a Prometheus and an Alertmanager of the operator's with our
configuration, the gateway, a mail server and a provider. It takes four minutes and is
marked `soak`: its two halves are in test_alerts.py and test_notifications.py.
"""

from collections.abc import Iterator

import pytest

from tests.support.alerts import alerting, await_alert, shortened_rules
from tests.support.cluster import WAIT, Namespace, await_value, loaded_inside
from tests.support.notifications import World
from tests.support.sms import RECIPIENTS

NAMESPACE = "httpserver-alert-chain"

ALERT = "HttpserverAvailabilityBudgetBurn"
"""Critical, so that it goes to both."""

STATES = ("FIRING", "RESOLVED")


def prometheus() -> list[dict]:
    """Make a Prometheus that scrapes, judges and tells within its namespace alone."""
    account = {"name": "chain", "namespace": NAMESPACE}
    role = {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "view",
    }
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "chain"}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "chain"},
            "roleRef": role,
            "subjects": [{"kind": "ServiceAccount", **account}],
        },
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "Prometheus",
            "metadata": {"name": "chain"},
            "spec": {
                "image": "localhost/prometheus:1",
                "imagePullPolicy": "Never",
                "version": "v3.15.0",
                "serviceAccountName": "chain",
                "scrapeInterval": "2s",
                "evaluationInterval": "2s",
                # without selectors of namespaces: its own alone
                "serviceMonitorSelector": {},
                "ruleSelector": {},
                "alerting": {
                    "alertmanagers": [
                        {
                            "namespace": NAMESPACE,
                            "name": "alertmanager-operated",
                            "port": "web",
                        }
                    ]
                },
            },
        },
    ]


@pytest.fixture(scope="module")
def watched(prometheus_operator, image) -> Iterator[Namespace]:
    """The chart with its rules, shortened."""
    with alerting(NAMESPACE, image=image) as ns, shortened_rules(ns):
        yield ns


@pytest.fixture(scope="module")
def world(watched, image, tmp_path_factory) -> World:
    """Everybody else."""
    found = World(watched, image, tmp_path_factory.mktemp("gateway"))
    found.start_mail()
    found.start_provider()
    found.install_gateway()
    found.start_alertmanager()
    found.create(*prometheus())
    target = "prometheus/chain"
    watched.kubectl("wait", target, "--for=condition=Available", WAIT)
    return found


@pytest.mark.soak
def test_failing_requests_reach_mail_and_phone_and_so_does_their_end(world):
    """A text for each recipient when they begin to fail, one when they have ceased."""
    firing = f"FIRING critical {ALERT} {NAMESPACE}"
    resolved = f"RESOLVED critical {ALERT} {NAMESPACE}"

    with loaded_inside(world.ns, "/status/500"):
        await_alert(world.ns, ALERT, "firing")
        await_value(lambda: world.texts(firing), lambda to: to == RECIPIENTS)
    await_alert(world.ns, ALERT, "inactive")
    await_value(lambda: world.texts(resolved), lambda to: to == RECIPIENTS)

    subjects = {f"{what} critical {ALERT} in {NAMESPACE}" for what in STATES}
    await_value(world.subjects, lambda found: subjects <= {*found})
