"""The pods speak TLS themselves, with what cert-manager issues, and renews."""

import json
import socket

import httpx2
import pytest

from tests.support.cluster import await_value, forwarded, helm, installed_chart

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
        with socket.create_connection(("127.0.0.1", local), 20) as sock:
            with ns.trust().wrap_socket(sock, server_hostname=NAME) as tls:
                return tls.getpeercert()["serialNumber"]


def test_service_port_speaks_https_by_its_own_name(installed):
    """A client that trusts the CA reaches the Service; one that does not is warned."""
    with forwarded(installed, "service/httpserver", 443) as port:
        url = f"https://127.0.0.1:{port}/version"
        with httpx2.Client(verify=installed.trust(), trust_env=False) as client:
            answer = client.get(url, **installed.named())
        with httpx2.Client(trust_env=False) as stranger:
            with pytest.raises(httpx2.ConnectError, match="verify failed"):
                stranger.get(url, **installed.named())

    assert answer.json()["name"] == "httpserver"


def test_charts_own_tests_pass(installed):
    """`helm test` succeeds, with every name of the Service in the certificate."""
    output = helm("test", "httpserver", "--namespace", NAMESPACE, "--timeout", "120s")

    assert "Succeeded" in output


def test_renewed_certificate_is_taken_in_without_a_restart(installed):
    """Each pod shows the new one to new connections; none was replaced for it."""
    pods = sorted(pod["metadata"]["name"] for pod in installed.pods())
    before = {serial(installed, f"pod/{pod}", 8443) for pod in pods}
    installed.kubectl("delete", "secret", "httpserver-tls")
    installed.ca()  # waits for the next one
    for pod in pods:
        # the kubelet brings it within its sync period, about a minute
        await_value(
            lambda pod=pod: serial(installed, f"pod/{pod}", 8443),
            lambda shown: shown not in before,
            limit=240,
        )
        loaded = [
            json.loads(line)
            for line in installed.kubectl("logs", pod).splitlines()
            if '"tls_loaded"' in line
        ]
        assert len(loaded) == 2

    assert len(before) == 1
    assert sorted(pod["metadata"]["name"] for pod in installed.pods()) == pods
    assert installed.restarts() == 0
