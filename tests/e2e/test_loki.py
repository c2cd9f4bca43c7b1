"""A request's line is found in a real Loki by the id that curl got, on a cluster."""

import json
import os
import re
from collections.abc import Iterator

import httpx2
import pytest

from tests.support.cluster import (
    INGRESS,
    PATIENCE,
    WAIT,
    Namespace,
    await_value,
    forwarded,
    helm,
    namespace,
)
from tests.support.loki import Loki, documented_queries
from tests.support.loki_manifests import loki_and_promtail

NAMESPACE = "httpserver-logs"
HOST = "logs.example.com"

REQUEST_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
"""The one that the documents ask for."""

SINCE = 3600
"""Seconds that questions look back."""

FLOOD = 120

FIRST, EVERY = 5, 50


@pytest.fixture(scope="module")
def logged(image) -> Iterator[Namespace]:
    """The chart with sampling, and Loki and promtail beside it."""
    name, tag = image
    loki = os.environ.get("E2E_LOKI_IMAGE", "docker.io/grafana/loki:3.6.4")
    promtail = os.environ.get("E2E_PROMTAIL_IMAGE", "docker.io/grafana/promtail:3.5.1")
    with namespace(NAMESPACE, host=HOST) as ns:
        ns.create()
        manifests = loki_and_promtail(NAMESPACE, loki=loki, promtail=promtail)
        listed = {"apiVersion": "v1", "kind": "List", "items": manifests}
        ns.kubectl("apply", "-f", "-", stdin=json.dumps(listed))
        helm(
            "install", "httpserver", "helm/httpserver", "--namespace", NAMESPACE,
            "--wait", WAIT,
            "--values", "helm/httpserver/ci/own-ca-values.yaml",
            "--set", f"image.repository={name},image.tag={tag}",
            "--set", "image.pullPolicy=IfNotPresent,replicas=1",
            "--set", f"ingress.hosts[0].host={HOST}",
            "--set", f"config.log.sampling.first={FIRST}",
            "--set", f"config.log.sampling.then_every={EVERY}",
        )  # fmt: skip
        for workload in ("deployment/loki", "daemonset/promtail"):
            ns.kubectl("rollout", "status", workload, WAIT)
        ns.await_https()
        yield ns
        helm("uninstall", "httpserver", "--namespace", NAMESPACE, "--wait")


@pytest.fixture(scope="module")
def caused(logged) -> None:
    """The requests that the queries look for, and an error."""
    trust = logged.trust()
    with httpx2.Client(
        base_url=f"https://{INGRESS}", verify=trust, timeout=PATIENCE
    ) as client:
        named = logged.named()
        answer = client.get(
            "/version",
            headers=named["headers"] | {"x-request-id": REQUEST_ID},
            extensions=named["extensions"],
        )
        assert answer.headers["x-request-id"] == REQUEST_ID
        for _ in range(FLOOD):
            assert client.get("/hello", **named).status_code == 200
        assert client.get("/delay/1.2", **named).status_code == 200
        assert client.get("/nothing", **named).status_code == 404
    break_settings(logged)


def break_settings(ns: Namespace) -> None:
    """Let a pod find settings that it can't use, as soon as its kubelet looks."""
    text = ns.get("configmap", "httpserver")["data"]["config.yaml"]
    broken = text.replace("level: info", "level: nonsense")
    assert broken != text
    patch = json.dumps({"data": {"config.yaml": broken}})
    ns.kubectl("patch", "configmap", "httpserver", "--patch", patch)
    (pod,) = ns.pods()
    name = pod["metadata"]["name"]
    ns.kubectl("annotate", "pod", name, "looked-at=now", "--overwrite")
    await_value(
        lambda: ns.kubectl("logs", name), lambda log: "settings_reload_failed" in log
    )


@pytest.fixture(scope="module")
def loki(logged, caused) -> Iterator[Loki]:
    """Loki, once it has what was caused last."""
    with forwarded(logged, "service/loki", 3100) as port:
        server = Loki(f"http://127.0.0.1:{port}", since=SINCE)
        await_value(lambda: server.lines('{app="httpserver", level="error"}'), bool)
        yield server


def test_request_is_found_by_the_id_that_the_client_got(loki, logged):
    """Its access line, whole, with the labels that the shipper gives it."""
    query = f'{{app="httpserver"}} | json | request_id="{REQUEST_ID}"'
    found = await_value(
        lambda: [each for each in loki.lines(query) if each[0]["event"] == "request"],
        bool,
    )
    (pod,) = logged.pods()

    ((labels, text),) = found
    assert labels["level"] == "info"
    assert labels["namespace"] == NAMESPACE
    assert labels["pod"] == pod["metadata"]["name"]
    line = json.loads(text)
    assert (line["path"], line["status"]) == ("/version", 200)
    assert line["logger"] == "httpserver.access"


def test_error_is_found_by_its_level(loki):
    """The label alone is asked for, no line is looked into."""
    found = await_value(lambda: loki.lines('{app="httpserver", level="error"}'), bool)

    assert any("settings_reload_failed" in text for _labels, text in found)


def test_sampling_leaves_a_count_that_adds_up(loki):
    """Lines of the flood and the count of those left out are all its requests."""
    flood = '{app="httpserver"} | json | route="/hello"'

    def counts() -> tuple[int, float]:
        written = len(loki.lines(f'{flood} | event="request"'))
        total = f"sum(sum_over_time({flood} | unwrap dropped [{SINCE}s]))"
        ((_labels, dropped),) = loki.values(total)
        return written, dropped

    written, dropped = await_value(counts, lambda found: sum(found) == FLOOD)

    assert written < FLOOD
    assert written + dropped == FLOOD


@pytest.mark.parametrize("query", documented_queries())
def test_documented_query_finds_something(loki, query):
    """What the documents tell people to ask has an answer."""
    version = '{app="httpserver"} | json | path="/version"'
    line = await_value(lambda: loki.lines(version)[0][1], bool)
    client = json.loads(line)["client"]
    # the documents ask for the last minutes, a cluster may have taken longer to here
    asked = re.sub(r"\[\d+m\]", f"[{SINCE}s]", query.replace("127.0.0.1", client))

    assert await_value(lambda: loki.ask(asked), bool)
