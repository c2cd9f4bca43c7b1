"""
The commit log on a cluster: a StatefulSet with a volume, mutual TLS by cert-manager,
and who may do what, from a pod and from outside.

Clients produce while the pod is killed by force; the next one takes the volume over,
and all that was acknowledged is there.
"""

import asyncio
import base64
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.commitlog import Record
from service.commitlog.errors import CommitLogError, LogUnreachable
from service.log_api.errors import CallRefused, Reason
from service.log_client.client import LogClient
from service.log_client.options import ChannelOptions, Tls
from tests.support.cluster import (
    PATIENCE,
    WAIT,
    Namespace,
    await_value,
    forwarded,
    helm,
    namespace,
)
from tests.support.comparing import difference
from tests.support.log_pod import log_pod
from tests.support.node_volume import node_volume

NAMESPACE = "httpserver-log"
SERVICE = "service/httpserver-log"
OPTIONS = (
    "--values", "helm/httpserver/ci/commitlog-values.yaml",
    "--set", "config.server.drain_delay=1,probes.readiness.periodSeconds=1",
    "--set", "tests.enabled=false,image.pullPolicy=IfNotPresent",
)  # fmt: skip
PRODUCERS = 4


@pytest.fixture(scope="module")
def ns(image) -> Iterator[Namespace]:
    """The chart with the log on a volume of the node."""
    repository, tag = image
    with namespace(NAMESPACE) as found, contextlib.ExitStack() as stack:
        found.create()
        storage = stack.enter_context(node_volume(found, image=f"{repository}:{tag}"))
        helm(
            "install", "httpserver", "helm/httpserver", "--namespace", NAMESPACE,
            "--wait", WAIT, *OPTIONS,
            "--set", f"image.repository={repository},image.tag={tag}",
            "--set", f"commitLog.persistence.storageClass={storage}",
        )  # fmt: skip
        yield found
        helm("uninstall", "httpserver", "--namespace", NAMESPACE, "--wait")


def secret_of(ns: Namespace, name: str, folder: Path) -> Path:
    """Write what cert-manager put into a Secret to files; return their folder."""
    target = folder / name
    target.mkdir()
    secret = ns.get("secret", name)
    for key, value in secret["data"].items():
        (target / key).write_bytes(base64.b64decode(value))
    return target


Tlses = Callable[[str], Tls]


@pytest.fixture(scope="module")
def tls_of(ns, tmp_path_factory) -> Tlses:
    """Give the TLS of a client by its name; without one it has no certificate."""
    folder = tmp_path_factory.mktemp("clients")
    files = {
        name: secret_of(ns, f"httpserver-log-client-{name}", folder)
        for name in ("billing", "audit")
    }

    def found(name: str) -> Tls:
        ca = files["audit"] / "ca.crt"
        server = f"httpserver-log.{NAMESPACE}.svc"
        if not name:
            return Tls(ca=ca, server_name=server)
        cert, key = files[name] / "tls.crt", files[name] / "tls.key"
        return Tls(ca=ca, cert=cert, key=key, server_name=server)

    return found


def pods(ns: Namespace) -> set[str]:
    """Return the identities of the pods."""
    return {pod["metadata"]["uid"] for pod in ns.pods()}


def ready_pods(ns: Namespace) -> set[str]:
    """Return the identities of the pods that are ready."""
    return {
        pod["metadata"]["uid"]
        for pod in ns.pods()
        if all(each["ready"] for each in pod["status"].get("containerStatuses", []))
    }


def client(port: int, tls: Tls, *, deadline: float = PATIENCE) -> LogClient:
    """Return a client of the forwarded port; *deadline* is in seconds."""
    options = ChannelOptions(tls=tls)
    return LogClient(f"127.0.0.1:{port}", options=options, deadline=deadline)


async def test_clients_may_do_what_their_certificates_are_permitted(ns, tls_of):
    """One writes, the other reads it, and may not write; without one nobody may."""
    with forwarded(ns, SERVICE, 8400) as port:
        async with client(port, tls_of("billing")) as billing:
            offset = await billing.produce([Record(b"first", key=b"k")])
        async with client(port, tls_of("audit")) as audit:
            (found,) = (await audit.consume(offset))[:1]
            with pytest.raises(CallRefused) as refused:
                await audit.produce([Record(b"not mine")])
        async with client(port, tls_of(""), deadline=3) as nobody:
            with pytest.raises(LogUnreachable):
                await nobody.offsets()

    assert (found.value, found.key) == (b"first", b"k")
    assert refused.value.reason is Reason.PERMISSION_DENIED


def test_records_go_through_the_service_from_another_pod(ns, image):
    """By its name in DNS and its certificate; the pod's own is in its Secret."""
    secret, name = "httpserver-log-client-billing", ":".join(image)
    server = f"httpserver-log.{NAMESPACE}.svc:8400"
    lines = [f"line {n}" for n in range(2_000)]
    with log_pod(ns, server, image=name, secret=secret) as pod:
        before = len(pod.values())
        pod.run("produce", stdin="".join(f"{line}\n" for line in lines))
        values = pod.values()

    assert difference(values[before:], lines) == ""
    await_value(
        lambda: ns.get("statefulset", "httpserver")["status"]["readyReplicas"],
        lambda count: count == 1,
    )


def serial(port: int, tls: Tls) -> str:
    """Return the serial number of the certificate that a new connection is shown."""
    context = ssl.create_default_context(cafile=tls.ca)
    context.load_cert_chain(tls.cert, tls.key)
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as plain:
        with context.wrap_socket(plain, server_hostname=tls.server_name) as secure:
            return str(secure.getpeercert()["serialNumber"])


async def missing(port: int, tls: Tls, *, shown: str) -> str:
    """Return what has not been taken in yet: another certificate, the permission."""
    if serial(port, tls) == shown:
        return "certificate"
    async with client(port, tls) as log:
        try:
            await log.produce([Record(b"mine now")])
        except CallRefused:
            return "permission"
        except CommitLogError as error:  # the way there may have been cut
            return repr(error)
    return ""


def await_all(ns: Namespace, pod: str, port: int, tls: Tls, *, shown: str) -> None:
    """Wait until nothing is missing."""

    def left() -> str:
        # else the kubelet would bring it within its sync period, about a minute
        seen = f"looked-at={time.monotonic()}"
        ns.kubectl("annotate", "pod", pod, seen, "--overwrite")
        return asyncio.run(missing(port, tls, shown=shown))

    await_value(left, lambda text: not text)


async def test_new_permission_and_certificate_are_taken_in_by_the_running_pod(
    ns, tls_of
):
    """An upgrade of the permissions replaces no pod, nor does a renewed certificate."""
    audit, before = tls_of("audit"), pods(ns)
    (pod,) = (each["metadata"]["name"] for each in ns.pods())
    with forwarded(ns, f"pod/{pod}", 8400) as port:
        shown = serial(port, audit)
        ns.kubectl("delete", "secret", "httpserver-log-tls")
        helm(
            "upgrade", "httpserver", "helm/httpserver", "--namespace", NAMESPACE,
            "--reuse-values",
            "--set", "config.log_service.permissions.audit.produce={records}",
        )  # fmt: skip
        await asyncio.to_thread(await_all, ns, pod, port, audit, shown=shown)

    assert pods(ns) == before
    assert ns.restarts() == 0


async def produce_until_lost(port: int, tls: Tls, name: int, stored: dict) -> None:
    """Append one record after the other, noting what was acknowledged."""
    async with client(port, tls, deadline=20) as log:
        for n in range(1_000_000):
            value = b"%d %08d" % (name, n)
            stored[await log.produce([Record(value)])] = value


async def produce_and_kill(ns: Namespace, tls: Tls) -> dict[int, bytes]:
    """Return what was acknowledged, by offset, until the pod was killed by force."""
    stored: dict[int, bytes] = {}
    with forwarded(ns, SERVICE, 8400, again=False) as port:
        tasks = [
            asyncio.create_task(produce_until_lost(port, tls, name, stored))
            for name in range(PRODUCERS)
        ]
        while len(stored) < 200:
            await asyncio.sleep(0.05)
            assert not any(task.done() for task in tasks), tasks
        (pod,) = (each["metadata"]["name"] for each in ns.pods())
        force = ("delete", "pod", pod, "--force", "--grace-period=0")
        await asyncio.to_thread(ns.kubectl, *force)
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(each, CommitLogError) for each in ends), ends
    return stored


async def read_all(log: LogClient) -> dict[int, bytes]:
    """Return all records by offset."""
    found: dict[int, bytes] = {}
    offset, end = 0, (await log.offsets()).next
    while offset < end:
        records = await log.consume(offset)
        found |= {each.offset: each.value for each in records}
        offset = records[-1].offset + 1
    return found


async def test_pod_killed_by_force_loses_no_acknowledged_record(ns, tls_of):
    """The next pod has the volume, each record at its offset, and takes more."""
    billing, before = tls_of("billing"), pods(ns)
    stored = await produce_and_kill(ns, billing)
    await asyncio.to_thread(
        await_value, lambda: ready_pods(ns) - before, lambda others: len(others) == 1
    )
    with forwarded(ns, SERVICE, 8400) as port:
        async with client(port, billing) as log:
            kept = await read_all(log)
            next_offset = await log.produce([Record(b"after")])

    lost = [offset for offset, value in stored.items() if kept.get(offset) != value]
    assert not lost, f"{len(lost)} of {len(stored)}, the first {min(lost)}"
    assert next_offset == max(kept) + 1
