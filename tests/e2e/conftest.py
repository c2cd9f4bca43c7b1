"""
What the end-to-end tests need: a cluster by KUBECONFIG with cert-manager and an ingress
controller on 127.0.0.1:443, kubectl and helm on PATH, and the image in the cluster.

E2E_IMAGE names the image (httpserver:dev without), E2E_LOKI_IMAGE, E2E_PROMTAIL_IMAGE,
E2E_POSTGRESQL_IMAGE and E2E_NATS_IMAGE those of Loki, promtail, PostgreSQL and NATS
(Docker Hub's without).
Where something is missing the tests skip and say what; with E2E_REQUIRED=1 they fail
instead.

Twenty rollouts in a row take eight minutes, the whole way of an alert takes four:
`make e2e PYTEST_ARGS='-m "e2e and soak"'`.
"""

import os
import shutil

import pytest

from tests.support.cluster import await_value, kubectl, namespace
from tests.support.cluster_state import namespaces, state
from tests.support.commands import BUSY

_LINES = 40
"""Of a failure, when it is told at once."""


def pytest_collection_modifyitems(items):
    """Mark every test of this folder."""
    for item in items:
        if "tests/e2e" in str(item.path):
            item.add_marker(pytest.mark.e2e)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Tell what the cluster looks like when a test fails, last in its report."""
    report = yield
    if report.failed:
        for each in namespaces():
            report.sections.append(("cluster", state(each)))
        _tell(report, item.config.get_terminal_writer())
    return report


def _tell(report, writer):
    """Tell a failure at once: a run that somebody ends from outside tells none."""
    told = [report.longreprtext, *(text for _, text in report.sections)]
    writer.line(f"\n{report.nodeid} ({report.when}):")
    for line in "\n".join(told).splitlines()[-_LINES:]:
        writer.line(f"  {line}")


def _missing() -> str | None:
    for program in ("kubectl", "helm"):
        if shutil.which(program) is None:
            return f"{program} is not on PATH"
    busy = BUSY if os.environ.get("E2E_REQUIRED") else 0
    try:
        kubectl("get", "crd", "certificates.cert-manager.io", busy=busy)
    except AssertionError as error:
        return f"no cluster with cert-manager by KUBECONFIG: {error}"
    return None


@pytest.fixture(scope="session", autouse=True)
def cluster():
    """Skip, or fail when the tests are required, where no cluster is to be had."""
    missing = _missing()
    if missing is not None and os.environ.get("E2E_REQUIRED"):
        pytest.fail(missing)
    if missing is not None:
        pytest.skip(missing)


@pytest.fixture(scope="session")
def image() -> tuple[str, str]:
    """Name and tag of the image under test."""
    name, _, tag = os.environ.get("E2E_IMAGE", "httpserver:dev").partition(":")
    return name, tag


@pytest.fixture(scope="module")
def applied():
    """The service as `kubectl apply -k k8s/overlays/local` brings it up."""
    with namespace("httpserver") as ns:
        kubectl("apply", "-k", "k8s/overlays/local")
        ns.await_rollout()
        ns.await_https()
        yield ns


def has_crd(name: str) -> bool:
    """Whether the cluster has a custom resource definition."""
    return bool(kubectl("get", "crd", name, "--ignore-not-found"))


@pytest.fixture(scope="session")
def prometheus_operator():
    """Skip, or fail when required, where no Prometheus operator runs."""
    if not has_crd("servicemonitors.monitoring.coreos.com"):
        message = "the cluster has no Prometheus operator"
        (pytest.fail if os.environ.get("E2E_REQUIRED") else pytest.skip)(message)


@pytest.fixture(scope="session")
def metrics_server():
    """Skip, or fail when required, where no metrics-server runs."""
    service = ("apiservice", "v1beta1.metrics.k8s.io", "--ignore-not-found")
    if not kubectl("get", *service):
        message = "the cluster has no metrics-server"
        (pytest.fail if os.environ.get("E2E_REQUIRED") else pytest.skip)(message)
    # it knows nothing before its first two looks at the node
    await_value(lambda: kubectl("top", "node"), bool)
