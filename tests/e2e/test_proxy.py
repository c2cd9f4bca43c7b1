"""
Three pods behind the proxy and the client: one is slow, one cuts connections as a
process that dies does, one leaves, one is killed.

Whoever asks the proxy notices nothing but the time. The bound: of a GET every attempt
may go wrong, and the proxy makes three, each at another pod; so one bad pod of three
fails nobody, and a request is late by the time-out of one attempt. What a pod had
accepted before it cut is asked again elsewhere, which a GET may be. The fan-out's
client tries nothing twice, so it loses the calls that a bad pod holds until it is left
out, shows them in their places, and answers.
"""

import asyncio
import contextlib
import time
from collections import Counter

import httpx2
import pytest
import yaml

from tests.support.cluster import WAIT, forwarded, helm, installed_chart
from tests.support.watched import burst_end, by_host, watched

pytestmark = pytest.mark.soak  # it kills, cuts and waits for minutes

NAMESPACE = "httpserver-proxying"
TOKEN = "a-token-of-some-length"
HEAD_LIMIT = 0.5
SLOW = 3.0
QUIET = 0.7
"""Seconds without a request after which traffic has left: an ejection is longer."""
SOON = 15.0
"""Seconds in which traffic must have left on whatever machine; two are what we want."""
LIMIT = 90.0

CUT = 'httpserver_proxy_failures_total{reason="cut",upstream="backend"}'
EJECTED = 'httpserver_discovery_ejections_total{service="backend"}'

FRONT = {
    "replicas": 1,
    "config": {
        "discovery": {
            "services": {
                "backend": {
                    "source": "kubernetes",
                    "check": {
                        "path": "/readyz",
                        "interval": 0.5,
                        "timeout": 0.5,
                        "fall": 1,
                        "rise": 2,
                    },
                }
            }
        },
        "proxy": {
            "enabled": True,
            "routes": [
                {
                    "path": "/backend/",
                    "upstream": "service://backend",
                    "strip_prefix": True,
                    "retries": 2,
                    "timeouts": {"connect": 0.5, "head": HEAD_LIMIT},
                }
            ],
        },
        "fan_out": {
            "enabled": True,
            "backends": ["service://backend/fan-out"] * 2,
            "timeout": 1.0,
        },
    },
    "networkPolicy": {
        "extraEgress": [
            {
                "to": [
                    {
                        "podSelector": {
                            "matchLabels": {"app.kubernetes.io/instance": "backend"}
                        }
                    }
                ],
                "ports": [{"port": 8080, "protocol": "TCP"}],
            }
        ]
    },
}

BACKEND = {
    "replicas": 3,
    "config": {
        "fan_out": {"enabled": True},
        "probes": {"cache_ttl": 0.1},
        "server": {"admin": {"control": {"enabled": True}}},
    },
    "secret": {"controlToken": TOKEN},
}


@pytest.fixture(scope="module")
def front(image, tmp_path_factory):
    """A namespace with the proxy, and the port it has here."""
    folder = tmp_path_factory.mktemp("values")
    for name, values in (("front", FRONT), ("backend", BACKEND)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(values))
    repository, tag = image
    options = ("-f", str(folder / "front.yaml"))
    with installed_chart(
        NAMESPACE, *options, image=image, host="proxying.example.com"
    ) as ns:
        helm(
            "install", "backend", "helm/httpserver", "--namespace", NAMESPACE,
            "--wait", WAIT, "-f", str(folder / "backend.yaml"),
            "--set", f"image.repository={repository},image.tag={tag}",
            "--set", "image.pullPolicy=IfNotPresent",
        )  # fmt: skip
        pod = names(ns, "httpserver")[0]
        with forwarded(ns, f"pod/{pod}", 8080) as port:
            yield ns, f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def counted(front):
    """What gives a counter of the proxy, by its name and labels."""
    ns, _ = front
    with forwarded(ns, f"pod/{names(ns, 'httpserver')[0]}", 9090) as port:

        def count(series):
            transport = httpx2.HTTPTransport(retries=5)
            with httpx2.Client(transport=transport, trust_env=False) as client:
                text = client.get(f"http://127.0.0.1:{port}/metrics").text
            found = [each for each in text.splitlines() if each.startswith(series)]
            return float(found[0].split()[-1]) if found else 0.0

        yield count


def names(ns, instance):
    """Return the pods of a release that are there to stay."""
    pods = ns.get("pods", "-l", f"app.kubernetes.io/instance={instance}")["items"]
    alive = [each for each in pods if "deletionTimestamp" not in each["metadata"]]
    return sorted(each["metadata"]["name"] for each in alive)


@contextlib.asynccontextmanager
async def loads(url):
    """Ask through the proxy and the client at once."""
    async with (
        watched(f"{url}/backend/fan-out", clients=8) as proxied,
        watched(f"{url}/fan-out", clients=2) as called,
    ):
        yield proxied, called


@contextlib.contextmanager
def control(ns, pod):
    """Give a client of a pod's control endpoints."""
    with forwarded(ns, f"pod/{pod}", 9090) as port:
        base = f"http://127.0.0.1:{port}/control"
        headers = {"authorization": f"Bearer {TOKEN}"}
        transport = httpx2.HTTPTransport(retries=5)
        with httpx2.Client(
            base_url=base, headers=headers, transport=transport, trust_env=False
        ) as client:
            yield client


async def until_shared(load, hosts):
    """Wait until each of *hosts* has answered some of the latest requests."""
    end = time.monotonic() + LIMIT
    while True:
        latest = by_host(load.since(time.monotonic() - 3))
        if all(latest[each] > 10 for each in hosts):
            return
        assert time.monotonic() < end, f"last: {latest}"
        await asyncio.sleep(0.2)


def told(record, what, **figures):
    """Leave figures in the report of the run."""
    text = " ".join(
        f"{key}={value:.2f}" if isinstance(value, float) else f"{key}={value}"
        for key, value in figures.items()
    )
    print(f"{what}: {text}")
    record(what, text)


def answers(load):
    return dict(Counter(each.outcome for each in load.samples))


def lost(load):
    return sum(each.lost_calls for each in load.samples)


async def test_slow_pod_loses_its_traffic_until_it_is_well(
    front, counted, record_property
):
    """No GET fails; only those that met the pod before it was left out are late."""
    ns, url = front
    pods = names(ns, "backend")
    async with loads(url) as (proxied, called):
        await until_shared(proxied, pods)
        before = counted(EJECTED)
        with control(ns, pods[0]) as pod:
            fault = {"delay": {"distribution": "fixed", "seconds": SLOW}}
            began = time.monotonic()
            pod.post("/faults", json=fault | {"expires_in": 120}).raise_for_status()
            slow = time.monotonic()
            await asyncio.sleep(10)
            healed = time.monotonic()
            pod.delete("/faults").raise_for_status()
        await until_shared(proxied, pods)
        returned = time.monotonic() - healed
    during = [each for each in proxied.since(began) if each.began < healed]
    late = [each.began + each.seconds for each in during if each.seconds >= HEAD_LIMIT]
    end = burst_end(late, quiet=QUIET)
    left = end - began if end else 0.0
    told(
        record_property, "slow", left=left, late=len(late), of=len(during),
        slowest=max(each.seconds for each in during), returned=returned,
        proxied=answers(proxied), called=answers(called), lost_calls=lost(called),
    )  # fmt: skip

    assert proxied.failed == {}
    waited_out = [each for each in proxied.since(slow) if each.began < healed - SLOW]
    assert by_host(waited_out)[pods[0]] == 0
    assert counted(EJECTED) > before
    assert left < SOON
    assert 0 < len(late) < len(during) / 4
    assert set(answers(called)) <= {"200", "502"}
    assert answers(called)["200"] > 10 * answers(called).get("502", 0)


async def moments_of(count, seconds):
    """Return when, within so many seconds, a counter grew."""
    seen, moments = await asyncio.to_thread(count), []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(0.05)
        now = await asyncio.to_thread(count)
        if now > seen:
            moments.append(time.monotonic())
        seen = now
    return moments


async def test_pod_that_cuts_loses_its_traffic_until_it_is_well(
    front, counted, record_property
):
    """No GET fails, though connections break after the pod took the requests."""
    ns, url = front
    pods = names(ns, "backend")
    async with loads(url) as (proxied, called):
        await until_shared(proxied, pods)
        before = counted(CUT)
        with control(ns, pods[1]) as pod:
            began = time.monotonic()
            fault = {"abort": True, "expires_in": 120}
            pod.post("/faults", json=fault).raise_for_status()
            moments = await moments_of(lambda: counted(CUT), 8)
            healed = time.monotonic()
            pod.delete("/faults").raise_for_status()
        await until_shared(proxied, pods)
        returned = time.monotonic() - healed
    during = [each for each in proxied.since(began) if each.began < healed]
    end = burst_end(moments, quiet=QUIET)
    left = end - began if end else 0.0
    cut = int(counted(CUT) - before)
    told(
        record_property, "cut", left=left, cut=cut, of=len(during),
        slowest=max(each.seconds for each in during), returned=returned,
        proxied=answers(proxied), called=answers(called), lost_calls=lost(called),
    )  # fmt: skip

    assert proxied.failed == {}
    assert cut > 0
    assert left < SOON
    assert set(answers(called)) <= {"200", "502"}
    assert answers(called)["200"] > 10 * answers(called).get("502", 0)


async def test_drained_pod_loses_its_traffic_until_it_is_ready(front, record_property):
    """No GET fails and no call is lost, because the pod answers until it is left."""
    ns, url = front
    pods = names(ns, "backend")
    async with loads(url) as (proxied, called):
        await until_shared(proxied, pods)
        with control(ns, pods[1]) as pod:
            began = time.monotonic()
            pod.put("/readiness", json={"ready": False}).raise_for_status()
            await asyncio.sleep(10)
            ready = time.monotonic()
            pod.put("/readiness", json={"ready": True}).raise_for_status()
        await until_shared(proxied, pods)
        returned = time.monotonic() - ready
    during = [each for each in proxied.since(began) if each.began < ready]
    there = [each.began for each in during if each.host == pods[1]]
    left = max(there, default=began) - began
    told(
        record_property, "drained", left=left, there=len(there), of=len(during),
        returned=returned, proxied=answers(proxied), called=answers(called),
        lost_calls=lost(called),
    )  # fmt: skip

    assert proxied.failed == {}
    assert left < 10 - QUIET
    assert called.failed == {}
    assert lost(called) == 0


async def test_killed_pod_fails_nobody_and_its_successor_gets_traffic(
    front, record_property
):
    """What it had accepted is asked again elsewhere."""
    ns, url = front
    pods = names(ns, "backend")
    delete = ("delete", "pod", pods[2], "--force", "--grace-period=0", "--wait=false")
    async with loads(url) as (proxied, called):
        await until_shared(proxied, pods)
        began = time.monotonic()
        await asyncio.to_thread(ns.kubectl, *delete)
        await asyncio.sleep(5)
        successors = await asyncio.to_thread(names, ns, "backend")
        await until_shared(proxied, successors)
        returned = time.monotonic() - began
    during = proxied.since(began)
    there = [each.began for each in during if each.host == pods[2]]
    left = max(there, default=began) - began
    late = [each for each in during if each.seconds >= HEAD_LIMIT]
    told(
        record_property, "killed", left=left, there=len(there), of=len(during),
        late=len(late), slowest=max(each.seconds for each in during),
        returned=returned, proxied=answers(proxied), called=answers(called),
        lost_calls=lost(called),
    )  # fmt: skip

    assert pods[2] not in successors
    assert len(successors) == 3
    assert proxied.failed == {}
    assert left < SOON
    assert set(answers(called)) <= {"200", "502"}
    assert answers(called)["200"] > 10 * answers(called).get("502", 0)
