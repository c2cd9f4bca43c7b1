"""
The phone book on a cluster: two replicas, PostgreSQL in a pod, and its command line.

PostgreSQL speaks TLS with a certificate of the chart's own authority, and the replicas
believe nobody else (`verify-full`). Its pod goes while contacts are added through the
ingress: requests are answered with 503 until it is back, and all that was acknowledged
is there.
"""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.cluster import (
    INGRESS,
    LIMIT,
    PATIENCE,
    WAIT,
    Namespace,
    await_value,
    helm,
    kubectl,
    namespace,
)
from tests.support.phonebook import number
from tests.support.postgresql_manifests import DATA, postgresql

NAMESPACE = "httpserver-phonebook"
HOST = "phonebook.example.com"
IMAGE = "docker.io/library/postgres:17"
CONTACTS = "/api/v1/contacts"
OPTIONS = (
    "--values", "helm/httpserver/ci/own-ca-values.yaml",
    "--values", "helm/httpserver/ci/phonebook-postgresql-values.yaml",
    "--set", "phonebook.postgresql.secretName=phonebook",
    "--set", "phonebook.postgresql.urlKey=url",
    "--set", "phonebook.postgresql.caSecretName=postgresql-tls",
    "--set", f"ingress.hosts[0].host={HOST},replicas=2",
    "--set", "config.phonebook.timeout=2,config.throttle.enabled=false",
    "--set", "config.server.drain_delay=1,probes.readiness.periodSeconds=2",
)  # fmt: skip


def database() -> str:
    """Return the manifests of PostgreSQL, with a folder of its own on a node."""
    node = json.loads(kubectl("get", "nodes", "-o", "json"))["items"][0]
    items = postgresql(
        NAMESPACE,
        image=os.environ.get("E2E_POSTGRESQL_IMAGE", IMAGE),
        node=node["metadata"]["name"],
        folder=f"/var/tmp/httpserver-e2e-{secrets.token_hex(4)}",
        password=secrets.token_hex(16),
    )
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


@pytest.fixture(scope="module")
def ns(image) -> Iterator[Namespace]:
    """PostgreSQL and the chart, which come up at once."""
    repository, tag = image
    with namespace(NAMESPACE, host=HOST) as found:
        found.create()
        found.kubectl("apply", "-f", "-", stdin=database())
        helm(
            "install", "httpserver", "helm/httpserver", "--namespace", NAMESPACE,
            "--wait", WAIT, *OPTIONS,
            "--set", f"image.repository={repository},image.tag={tag}",
            "--set", "image.pullPolicy=IfNotPresent",
        )  # fmt: skip
        found.await_https()
        yield found
        clear = ("sh", "-c", f"rm -rf {DATA}/*")
        with contextlib.suppress(AssertionError):  # it may be away, if a test failed
            found.kubectl("exec", "deployment/postgresql", "--", *clear)
        helm("uninstall", "httpserver", "--namespace", NAMESPACE, "--wait")


class Phonebook:
    """`httpserver phonebook` through the ingress."""

    def __init__(self, ns: Namespace, folder: Path) -> None:
        self._ca = folder / "ca.crt"
        self._ca.write_text(ns.ca())

    def __call__(self, command: str, *arguments: str) -> str:
        place = ("--url", f"https://{HOST}", "--ca", str(self._ca))
        done = subprocess.run(
            [sys.executable, "-m", "service", "phonebook", command, *arguments,
             *place, "--resolve", f"{HOST}:443:{INGRESS}"],
            capture_output=True, text=True, timeout=LIMIT,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def phonebook(ns, tmp_path_factory) -> Phonebook:
    return Phonebook(ns, tmp_path_factory.mktemp("ca"))


def test_contact_that_is_inserted_is_found(phonebook):
    """From the command line through HTTPS, the ingress and TLS to PostgreSQL."""
    phonebook("insert", "Zoë", "Müller", number(1_000_000))
    found = phonebook("search", "mul", "--json")

    assert "Zoë" in found
    assert number(1_000_000) in found


def test_schema_was_made_by_one_replica(ns):
    """Both replicas met an empty database; one of them made the schema."""
    told = [ns.kubectl("logs", pod["metadata"]["name"]) for pod in ns.pods()]

    assert len(told) == 2
    assert ns.restarts() == 0  # else a log would not be whole
    assert sum("phonebook_schema_changed" in log for log in told) == 1


class Writer(threading.Thread):
    """Adds contacts one after the other, each sent again with its key until it is."""

    def __init__(self, ns: Namespace) -> None:
        super().__init__()
        self._ns = ns
        self._trust = ns.trust()
        self.over = threading.Event()
        self.added: list[str] = []
        self.answers: set[int | str] = set()

    def run(self) -> None:
        """Write until it is over."""
        with httpx2.Client(verify=self._trust, timeout=PATIENCE) as client:
            place = 0
            while not self.over.is_set():
                try:
                    place += self._add(client, place)
                except httpx2.HTTPError:  # of the way to the ingress controller
                    self.over.wait(0.2)

    def _add(self, client: httpx2.Client, place: int) -> bool:
        named = self._ns.named()
        named["headers"] |= {"idempotency-key": f"e2e-{place}"}
        values = {"first_name": "Ann", "last_name": "Lee", "number": number(place)}
        url = f"https://{INGRESS}{CONTACTS}"
        answer = client.post(url, json=values, **named)
        # while no replica is ready the ingress controller answers, each in its own way
        ours = "json" in answer.headers.get("content-type", "")
        self.answers.add(answer.status_code if ours else "ingress")
        if answer.status_code == 201:
            self.added.append(answer.json()["number"])
            return True
        self.over.wait(0.2)
        return False


def ready(ns: Namespace) -> list[bool]:
    return [
        each["ready"]
        for pod in ns.pods()
        for each in pod["status"].get("containerStatuses", [])
    ]


def test_postgresql_that_goes_and_comes_back_loses_no_contact(ns, phonebook):
    """Not ready and 503 without it, both over by themselves; each contact is there."""
    writer = Writer(ns)
    writer.start()
    try:
        await_value(lambda: len(writer.added), lambda n: n > 20)
        ns.kubectl("scale", "deployment/postgresql", "--replicas=0")
        pods = ("pods", "-l", "app.kubernetes.io/name=postgresql")
        ns.kubectl("delete", *pods, "--now", "--wait", "--ignore-not-found")
        await_value(lambda: ready(ns), lambda each: each == [False, False])
        ns.kubectl("scale", "deployment/postgresql", "--replicas=1")
        await_value(lambda: ready(ns), lambda each: each == [True, True])
        before = len(writer.added)
        await_value(lambda: len(writer.added), lambda n: n > before + 20)
    finally:
        writer.over.set()
        writer.join(2 * PATIENCE)
    lines = phonebook("export").splitlines()
    kept = [json.loads(line)["number"] for line in lines]

    assert writer.answers - {"ingress"} == {201, 503}
    assert ns.restarts() == 0
    twice = [each for each, count in Counter(kept).items() if count > 1]
    assert not twice, f"{len(twice)} of {len(kept)}"
    lost = {*writer.added} - {*kept}
    assert not lost, f"{len(lost)} of {len(writer.added)}"
