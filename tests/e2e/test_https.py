"""The pods speak TLS themselves, with what cert-manager issues, and renews."""

import json
import socket

import httpx2
import pytest

from tests.support.cluster import (
    PATIENCE,
    WAIT,
    await_value,
    forwarded,
    helm,
    installed_chart,
)

NAMESPACE = "httpserver-https"
NAME = f"httpserver.{NAMESPACE}.svc"


@pytest.fixture(scope="module")
def installed(image):
    """The chart without an Ingress, its certificate by a CA of its own."""
    options = (
        *("--set", "config.server.tls.enabled=true"),
        *("--set", "certificate.enabled=true,certificate.ca.create=true"),
        *("--set", "replicas=2"),
    )
    with installed_chart(NAMESPACE, *options, image=image, host=NAME) as ns:
        yield ns


def serial(ns, target, port):
    """Serial number of the certificate, verified, that a new connection is shown."""
    with forwarded(ns, target, port) as local:
        with socket.create_connection(("127.0.0.1", local), PATIENCE) as sock:
            with ns.trust().wrap_socket(sock, server_hostname=NAME) as tls:
                return tls.getpeercert()["serialNumber"]


def test_service_port_speaks_https_by_its_own_name(installed):
    """A client that trusts the CA reaches the Service; one that does not is warned."""
    path, service = "/version", (installed, "service/httpserver", 443)
    trusting = httpx2.HTTPTransport(verify=installed.trust(), retries=5)
    with forwarded(*service) as port, httpx2.Client(transport=trusting) as client:
        url = f"https://127.0.0.1:{port}{path}"
        answer = client.get(url, **installed.named())
    with forwarded(*service) as port, httpx2.Client(trust_env=False) as stranger:
        url = f"https://127.0.0.1:{port}{path}"
        with pytest.raises(httpx2.ConnectError, match="verify failed"):
            stranger.get(url, **installed.named())

    assert answer.json()["name"] == "httpserver"


def test_charts_own_tests_pass(installed):
    """`helm test` succeeds, with every name of the Service in the certificate."""
    output = helm("test", "httpserver", "--namespace", NAMESPACE, WAIT)

    assert "Succeeded" in output


def serials_loaded(ns, pod):
    """Serial numbers of the certificates that a pod says it took in."""
    lines = ns.kubectl("logs", pod).splitlines()
    return [json.loads(line)["serial"] for line in lines if '"tls_loaded"' in line]


def test_renewed_certificate_is_taken_in_without_a_restart(installed):
    """Each pod shows the new one to new connections; none was replaced for it."""
    pods = sorted(pod["metadata"]["name"] for pod in installed.pods())
    before = {
        await_value(lambda pod=pod: serial(installed, f"pod/{pod}", 8443), bool)
        for pod in pods
    }
    installed.kubectl("delete", "secret", "httpserver-tls")
    installed.ca()  # waits for the next one
    for pod in pods:
        # the kubelet brings it within its sync period, about a minute
        await_value(
            lambda pod=pod: serial(installed, f"pod/{pod}", 8443),
            lambda shown: shown not in before,
        )
        await_value(
            lambda pod=pod: serials_loaded(installed, pod), lambda told: len(told) > 1
        )
        told = serials_loaded(installed, pod)
        assert len(told) == len({*told}), "one was loaded twice"

    assert len(before) == 1
    assert sorted(pod["metadata"]["name"] for pod in installed.pods()) == pods
    assert installed.restarts() == 0
