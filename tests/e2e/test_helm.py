"""`helm install`: the same service by the chart, with its own tests, live settings."""

import pytest

from tests.support.cluster import WAIT, await_value, helm, installed_chart

NAMESPACE = "httpserver-chart"
HOST = "chart.example.com"


@pytest.fixture(scope="module")
def installed(image):
    """The chart, installed with TLS by a CA of its own."""
    options = (
        *("--values", "helm/httpserver/ci/own-ca-values.yaml"),
        *("--set", f"ingress.hosts[0].host={HOST}"),
    )
    with installed_chart(NAMESPACE, *options, image=image, host=HOST) as ns:
        ns.await_https()
        yield ns


def test_https_answers_with_a_certificate_of_our_ca(installed):
    """The chart brings its own certificate chain."""
    assert installed.ask("/version").json()["name"] == "httpserver"


def test_charts_own_tests_pass(installed):
    """`helm test` succeeds."""
    output = helm("test", "httpserver", "--namespace", NAMESPACE, WAIT)

    assert "Succeeded" in output


def test_upgrade_of_a_live_setting_restarts_no_pod(installed):
    """A changed log level reaches the pods without a rollout."""
    before = {pod["metadata"]["name"] for pod in installed.pods()}
    helm(
        "upgrade", "httpserver", "helm/httpserver", "--namespace", NAMESPACE,
        "--reuse-values", "--set", "config.log.level=debug",
    )  # fmt: skip

    for pod in sorted(before):
        await_value(
            lambda pod=pod: installed.kubectl("logs", pod),
            lambda log: '"event":"settings_reloaded"' in log,
        )

    assert {pod["metadata"]["name"] for pod in installed.pods()} == before
