"""`kubectl apply -k`: HTTPS by our own CA, live settings, lossless rollouts."""

import asyncio
import json
import ssl
import subprocess
import sys

import httpx2
import pytest

from tests.support.cluster import Load, await_value, loaded, loaded_inside


def test_https_is_verified_against_our_own_ca(applied):
    """The ingress answers with a certificate that cert-manager issued from our CA."""
    answer = applied.ask("/version").json()
    certificate = applied.get("certificate", "httpserver-tls")

    assert answer["name"] == "httpserver"
    assert certificate["spec"]["issuerRef"]["name"] == "httpserver-ca"
    with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        applied.ask("/version", trust=ssl.create_default_context())


def test_pods_are_guaranteed_restricted_and_ready(applied):
    """The cluster itself says what the manifests promise."""
    pods = applied.pods()
    namespace = applied.get("namespace", applied.name)

    assert {pod["status"]["qosClass"] for pod in pods} == {"Guaranteed"}
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_public_port_does_not_serve_metrics(applied):
    """Metrics stay on the admin port."""
    assert applied.ask("/metrics").status_code == 404


def test_log_level_changes_live_without_a_restart(applied):
    """An edited ConfigMap takes effect within the kubelet's sync time."""
    before = {pod["metadata"]["name"] for pod in applied.pods()}
    config = applied.get("configmap", "httpserver")
    text = config["data"]["config.yaml"]
    changed = text.replace("level: info", "level: debug")
    assert changed != text
    patch = json.dumps({"data": {"config.yaml": changed}})
    applied.kubectl("patch", "configmap", "httpserver", "--patch", patch)

    for pod in sorted(before):
        await_value(
            lambda pod=pod: applied.kubectl("logs", pod),
            lambda log: '"event":"settings_reloaded"' in log and "log.level" in log,
        )

    assert {pod["metadata"]["name"] for pod in applied.pods()} == before
    assert applied.restarts() == 0


def test_login_comes_with_a_secret_and_holds_on_every_replica(applied):
    """A Secret that is made later is taken in live; any pod knows the token."""
    hashed = subprocess.run(
        [sys.executable, "-m", "service", "hash-password"],
        input="open sesame\n",
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    applied.kubectl(
        "create", "secret", "generic", "httpserver",
        f"--from-literal=login__token_key={'k' * 40}",
        f"--from-literal=login__users={json.dumps({'ann': hashed})}",
    )  # fmt: skip
    login = {"username": "ann", "password": "open sesame"}

    answer = await_value(
        lambda: applied.ask("/user/login", method="POST", json=login),
        lambda answer: answer.status_code == 200,
    )
    bearer = {"authorization": f"Bearer {answer.json()['access_token']}"}

    def asked_often() -> set[int]:
        """Each pod gets the Secret in its own time: ask until all of them know it."""
        answers = [applied.ask("/user/login", headers=bearer) for _ in range(12)]
        return {answer.status_code for answer in answers}

    assert await_value(asked_often, lambda known: known == {200})
    assert applied.restarts() == 0


def leave_late(ns):
    """
    Let pods that leave answer for 15 seconds, instead of five.

    Who sends requests hears of their end when Kubernetes and the ingress controller
    come to it, and no time is promised for that where they share a small machine with
    the load.
    """
    times = ("DRAIN_DELAY=15", "GRACE_PERIOD=10")
    names = [f"HTTPSERVER_SERVER__{each}" for each in times]
    ns.kubectl("set", "env", "deployment/httpserver", *names)
    ns.await_rollout()
    ns.await_leavers()


@pytest.mark.parametrize(
    ("times", "patient"),
    [
        pytest.param(20, False, id="20, as shipped", marks=pytest.mark.soak),
        pytest.param(2, True, id="2, whatever the machine"),
    ],
)
async def test_rollouts_under_load_lose_no_request(applied, times, patient):
    """Through Service and ingress, every request of kept connections is answered."""
    if patient:
        leave_late(applied)
    load: Load
    with loaded_inside(applied, "/delay/0.02") as inside:
        async with loaded(applied, "/delay/0.1") as load:
            for _ in range(times):
                await asyncio.to_thread(roll, applied)
            totals = await asyncio.to_thread(inside)
    print(f"{times} rollouts: ingress {load.answers}, Service {totals}")  # noqa: T201 - the soak's figures

    assert load.failed == {}
    assert load.answers["200"] > 100
    assert totals["failed"] == {}
    assert totals["requests"] > 100 * times
    assert totals["told_to_close"] > 0


def roll(ns):
    """Restart every pod, and wait until the old ones are gone too."""
    ns.kubectl("rollout", "restart", "deployment/httpserver")
    ns.await_rollout()
    ns.await_leavers()
