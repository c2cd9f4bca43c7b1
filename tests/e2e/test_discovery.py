"""
Discovery of a service on a real cluster: its pods come, go, are unready and leave, and
the API server is away for a while.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
import yaml

from service.discovery.balancer import Balancer
from service.discovery.endpoint_slices import Target
from service.discovery.kubernetes import KubernetesRegistry
from tests.support.cluster import (
    LIMIT,
    RESTRICTED,
    WAIT,
    await_value,
    forwarded,
    installed_chart,
    kubectl,
    namespace,
)
from tests.support.forwarder import forwarder

NAMESPACE = "httpserver-discovery"
LEAVES_FOR = 20
"""Seconds that a pod goes on answering while it terminates: others see it leave."""

SCRIPT = f"""
import http.server, pathlib, signal, threading
unready = pathlib.Path("/state/unready")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if unready.exists() else 200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("", 8080), Handler)
def leave(*_):  # goes on answering for a while, as a service that drains does
    threading.Timer({LEAVES_FOR}, server.shutdown).start()
signal.signal(signal.SIGTERM, leave)
server.serve_forever()
"""
"""A backend that answers while it terminates, and is unready when a file says so."""


def backend(image):
    """Return Deployment and Service of `shop`."""
    labels = {"app": "shop"}
    container = {
        "name": "shop",
        "image": ":".join(image),
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", SCRIPT],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {
            "httpGet": {"path": "/", "port": "http"},
            "periodSeconds": 1,
            "failureThreshold": 1,
            "timeoutSeconds": 30,
        },
        "volumeMounts": [{"name": "state", "mountPath": "/state"}],
        "securityContext": RESTRICTED,
    }
    spec = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 2 * LEAVES_FOR,
        "containers": [container],
        "volumes": [{"name": "state", "emptyDir": {}}],
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "shop"},
        "spec": {
            "selector": labels,
            "ports": [
                {"name": "http", "port": 80, "targetPort": "http"},
                {"name": "other", "port": 81, "targetPort": 8081},
            ],
        },
    }
    return {"apiVersion": "v1", "kind": "List", "items": [deployment, service]}


@pytest.fixture(scope="module")
def shop(image):
    """A namespace with one pod of `shop`."""
    with namespace(NAMESPACE) as ns:
        ns.create()
        ns.kubectl("apply", "-f", "-", stdin=json.dumps(backend(image)))
        ns.kubectl("rollout", "status", "deployment/shop", WAIT)
        yield ns


@pytest.fixture
def road(tmp_path, monkeypatch):
    """The way to the API server, which a test may cut."""
    config = yaml.safe_load(kubectl("config", "view", "--raw", "--minify"))
    cluster = config["clusters"][0]["cluster"]
    server = urlsplit(cluster["server"])
    with forwarder(server.hostname, server.port or 443) as way:
        cluster["server"] = f"https://127.0.0.1:{way.port}"
        cluster.setdefault("tls-server-name", server.hostname)
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(config))
        monkeypatch.setattr(os, "environ", {**os.environ, "KUBECONFIG": str(file)})
        yield way


@pytest.fixture
async def registry(shop, road):
    target = Target(namespace=NAMESPACE, service="shop", port="http")
    found = KubernetesRegistry({"shop": target})
    await found.start()
    yield found
    await found.stop()


async def until(get, wanted, limit=LIMIT):
    """Return what *get* gives once it is *wanted*."""
    loop = asyncio.get_running_loop()
    end = loop.time() + limit
    while not wanted(value := get()):
        assert loop.time() < end, f"last: {value}"
        await asyncio.sleep(0.05)
    return value


def ready(registry):
    return [each for each in registry.endpoints("shop") if each.ready]


def scale(shop, count):
    shop.kubectl("scale", "deployment/shop", f"--replicas={count}")


async def settled(shop, registry, count):
    """Have so many pods, and no change to come: return what the registry knows."""
    scale(shop, count)
    await asyncio.to_thread(await_value, lambda: calm(shop), lambda n: n == count)
    return await until(lambda: ready(registry), lambda them: len(them) == count)


def calm(shop):
    """How many pods there are, when they are as wanted; leaving ones don't count."""
    found = shop.get("deployment", "shop")
    spec, status = found["spec"], found["status"]
    wanted = spec["replicas"]
    seen = status["observedGeneration"] == found["metadata"]["generation"]
    counts = {status.get("replicas", 0), status.get("readyReplicas", 0)}
    return wanted if seen and counts == {wanted} else None


def one_pod(shop):
    pods = shop.get("pods", "-l", "app=shop")["items"]
    alive = [each for each in pods if "deletionTimestamp" not in each["metadata"]]
    return alive[0]["metadata"]["name"], alive[0]["status"]["podIP"]


async def test_scaling_is_followed(shop, registry):
    """1, 3, 1 pods; every endpoint that is ready answers."""
    await settled(shop, registry, 1)
    found = await settled(shop, registry, 3)
    async with httpx2.AsyncClient() as client:
        answers = [(await client.get(f"http://{each}/")).status_code for each in found]
    scale(shop, 1)
    await until(lambda: ready(registry), lambda them: len(them) == 1)

    assert answers == [200, 200, 200]
    assert {each.port for each in found} == {8080}


async def test_unready_pod_is_not_picked(shop, registry):
    """A pod that fails its readiness probe is known, and gets no calls."""
    await settled(shop, registry, 2)
    name, address = one_pod(shop)
    shop.kubectl("exec", name, "--", "touch", "/state/unready")
    await until(lambda: ready(registry), lambda them: len(them) == 1)
    known = {each.host: each.ready for each in registry.endpoints("shop")}
    balancer = Balancer(registry)
    picked = {balancer.pick("shop").host for _ in range(50)}
    shop.kubectl("exec", name, "--", "rm", "/state/unready")
    await until(lambda: ready(registry), lambda them: len(them) == 2)

    assert known[address] is False
    assert address not in picked


async def test_deleted_pod_is_terminating_before_it_is_gone(shop, registry):
    """It gets no calls while another is ready, and would serve if none were."""
    await settled(shop, registry, 2)
    name, address = one_pod(shop)
    shop.kubectl("delete", "pod", name, "--wait=false")

    def leaving():
        them = registry.endpoints("shop")
        return [each for each in them if each.host == address and each.terminating]

    (seen,) = await until(leaving, bool)
    picked = {Balancer(registry).pick("shop").host for _ in range(50)}
    await until(
        lambda: [each.host for each in registry.endpoints("shop")],
        lambda them: address not in them,
    )

    assert (seen.ready, seen.serving) == (False, True)
    assert address not in picked


async def outage(shop, registry, kind, seconds):
    """Take the API server away, change what it knows, and give it back."""
    before = await settled(shop, registry, 1)
    count = len(before)
    kind.set()
    scale(shop, count + 1)
    loop = asyncio.get_running_loop()
    end, picked = loop.time() + seconds, 0
    balancer = Balancer(registry)
    async with httpx2.AsyncClient() as client:
        while loop.time() < end or picked <= seconds:
            with balancer.lease("shop") as endpoint:
                (await client.get(f"http://{endpoint}/")).raise_for_status()
            picked += 1
            await asyncio.sleep(0.1)
    during = ready(registry)
    kind.clear()
    await until(lambda: ready(registry), lambda them: len(them) == count + 1)
    scale(shop, 1)
    await until(lambda: ready(registry), lambda them: len(them) == 1)
    return before, during, picked


@pytest.mark.parametrize("kind", ["cut", "blocked"])
@pytest.mark.parametrize(
    "seconds", [5, pytest.param(30, marks=pytest.mark.soak)], ids=str
)
async def test_api_server_that_is_away_stops_nobody(
    shop, registry, road, kind, seconds
):
    """Every call goes on to the endpoints that were known, refused or silent as the API
    server may be; what changed meanwhile is known soon after it is back."""
    before, during, picked = await outage(shop, registry, getattr(road, kind), seconds)

    assert during == before
    assert picked > seconds


@pytest.fixture
def api_server():
    """The process of the API server, where it is one of this machine's and ours."""
    port = urlsplit(kubectl("config", "view", "--minify", "-o", SERVER)).port
    found = [
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and _serves(folder, port)
    ]
    if len(found) != 1 or not os.access(f"/proc/{found[0]}/mem", os.W_OK):
        pytest.skip("the API server is no process of this machine that may be stopped")
    return found[0]


SERVER = "jsonpath={.clusters[0].cluster.server}"


def _serves(folder, port):
    try:
        name, *flags = (folder / "cmdline").read_bytes().decode().split("\0")
    except OSError:  # it has ended
        return False
    text = " ".join(flags).replace("=", " ")
    return name.endswith("kube-apiserver") and f"--secure-port {port}" in text


@contextlib.contextmanager
def stopped(pid, seconds):
    """Stop a process; it goes on at the end of the block, or a little after *seconds*
    if this one is killed."""
    command = ["sh", "-c", f"sleep {seconds + 10}; kill -CONT {pid}"]
    with subprocess.Popen(command, start_new_session=True) as rescue:
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)
            os.killpg(rescue.pid, signal.SIGTERM)


@pytest.mark.soak
async def test_api_server_that_is_stopped_for_half_a_minute_stops_nobody(
    shop, registry, api_server
):
    """The process itself: no call fails, and what comes later is known soon."""
    before = await settled(shop, registry, 2)
    loop, balancer = asyncio.get_running_loop(), Balancer(registry)
    statuses, seconds = Counter(), 30
    async with httpx2.AsyncClient() as client:
        with stopped(api_server, seconds):
            end = loop.time() + seconds
            while loop.time() < end:
                with balancer.lease("shop") as endpoint:
                    answer = await client.get(f"http://{endpoint}/")
                statuses[answer.status_code] += 1
                await asyncio.sleep(0.1)
            during, age = ready(registry), registry.known.age("shop")
    await asyncio.to_thread(await_value, api_answers, bool)
    scale(shop, 3)
    after = await until(lambda: ready(registry), lambda them: len(them) == 3)
    scale(shop, 1)

    assert during == before
    assert set(statuses) == {200}
    assert statuses[200] > seconds
    assert age >= seconds - 1
    assert {each.host for each in before} < {each.host for each in after}
    assert registry.known.failing("shop") == ""


def api_answers():
    probe = ["kubectl", "get", "--raw", "/readyz", "--request-timeout=5s"]
    return subprocess.run(probe, capture_output=True).returncode == 0


def metric(ns, text):
    pod = ns.pods()[0]["metadata"]["name"]
    with forwarded(ns, f"pod/{pod}", 9090) as port:
        found = httpx2.get(f"http://127.0.0.1:{port}/metrics").text
    return [line.split()[-1] for line in found.splitlines() if line.startswith(text)]


def test_service_in_the_cluster_may_look(shop, image):
    """The chart's Role is enough for the service, in another namespace than its own."""
    scale(shop, 2)
    services = {
        "shop": {
            "source": "kubernetes",
            "name": f"{NAMESPACE}/shop",
            "port": "http",
            "required": True,
        }
    }
    with installed_chart(
        "httpserver-looking",
        f"--set-json=config.discovery.services={json.dumps(services)}",
        "--set=replicas=1",
        image=image,
        host="looking.example.com",
    ) as ns:
        wanted = 'httpserver_discovery_endpoints{service="shop",state="ready"}'
        found = await_value(
            lambda: metric(ns, wanted), lambda values: values == ["2.0"]
        )

    assert found == ["2.0"]
