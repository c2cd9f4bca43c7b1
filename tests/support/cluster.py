"""A cluster that KUBECONFIG names: commands, HTTPS through its ingress, load."""

import asyncio
import base64
import contextlib
import json
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2

from tests.support import keep_alive
from tests.support.cluster_state import state
from tests.support.commands import LIMIT, WAIT, await_value, helm, kubectl
from tests.support.forwarding import forward

__all__ = [
    "INGRESS",
    "LIMIT",
    "PATIENCE",
    "RESTRICTED",
    "WAIT",
    "Load",
    "Namespace",
    "await_value",
    "forwarded",
    "helm",
    "installed_chart",
    "kubectl",
    "loaded",
    "loaded_inside",
    "namespace",
]

INGRESS = "127.0.0.1"
"""Address of the ingress controller; a kind cluster maps its ports here too."""

PATIENCE = 60.0
"""Seconds that an answer may take: what is late on a small machine is not wrong."""

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""Security context of a container that the restricted profile lets in."""


_SERVERS = "app.kubernetes.io/name=httpserver,app.kubernetes.io/component=server"
"""Selects the service's own pods."""


class Namespace:
    """One namespace of the cluster with a service in it."""

    def __init__(self, name: str, *, host: str = "httpserver.example.com") -> None:
        self.name = name
        self.host = host

    def kubectl(self, *arguments: str, **options: Any) -> str:
        return kubectl("-n", self.name, *arguments, **options)

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def await_rollout(self) -> None:
        target = "deployment/httpserver"
        # each pod that is replaced may take its whole grace period
        self.kubectl("rollout", "status", target, f"--timeout={2 * LIMIT:g}s")

    def await_leavers(self) -> None:
        """Wait until the pods that were replaced are gone."""
        wanted = self.get("deployment", "httpserver")["spec"]["replicas"]
        await_value(
            lambda: len(self.get("pods", "-l", _SERVERS)["items"]),
            lambda n: n == wanted,
        )

    def pods(self) -> list[dict[str, Any]]:
        """The running pods of the service, those that are leaving left out."""
        pods = self.get("pods", "-l", _SERVERS)["items"]
        return [
            pod
            for pod in pods
            if pod["status"]["phase"] == "Running"
            and "deletionTimestamp" not in pod["metadata"]
        ]

    def restarts(self) -> int:
        return sum(
            status["restartCount"]
            for pod in self.pods()
            for status in pod["status"].get("containerStatuses", [])
        )

    def ca(self) -> str:
        """The CA certificate that the TLS secret carries, as a client gets it."""
        self.kubectl(
            "wait", "certificate/httpserver-tls", "--for=condition=Ready", WAIT
        )
        # it is called ready for a while after its Secret was deleted
        found = await_value(
            lambda: self.get("secret", "httpserver-tls")["data"]["ca.crt"], bool
        )
        return base64.b64decode(found).decode()

    def trust(self) -> ssl.SSLContext:
        """What a client needs that trusts our CA alone."""
        return ssl.create_default_context(cadata=self.ca())

    def await_https(self) -> None:
        """Wait until the ingress controller has taken up host and certificate."""
        await_value(
            lambda: self.ask("/livez").status_code, lambda status: status == 200
        )

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        trust: ssl.SSLContext | None = None,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> httpx2.Response:
        """Ask the ingress by its address, with the name and the SNI of the host."""
        named = self.named()
        named["headers"] |= headers or {}
        with httpx2.Client(verify=trust or self.trust(), timeout=PATIENCE) as client:
            return client.request(
                method, f"https://{INGRESS}{path}", **named, **options
            )

    def named(self) -> dict[str, Any]:
        """Options of a request to the ingress' address for the host."""
        return {
            "headers": {"host": self.host},
            "extensions": {"sni_hostname": self.host},
        }

    def create(self) -> None:
        """Make it, and wait until pods are let in: they need its account."""
        kubectl("create", "namespace", self.name)
        await_value(lambda: self.get("serviceaccount", "default"), bool)

    def delete(self) -> None:
        kubectl("delete", "namespace", self.name, "--ignore-not-found", "--wait=true")


class Load:
    """
    What came of the requests of a load.

    Attributes:
        answers: How many, by status and by kind of error.
        seconds: How long each took.
    """

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.running = True

    @property
    def failed(self) -> dict[str, int]:
        return {kind: n for kind, n in self.answers.items() if kind != "200"}


@contextlib.asynccontextmanager
async def loaded(
    ns: Namespace, path: str, *, clients: int = 8, pause: float = 0.05
) -> AsyncIterator[Load]:
    """Send requests through the ingress on kept-alive connections, without retries."""
    trust = ns.trust()
    load = Load()

    async def one() -> None:
        async with httpx2.AsyncClient(verify=trust, timeout=PATIENCE) as client:
            while load.running:
                began = time.monotonic()
                load.answers[await _outcome(client, ns, path)] += 1
                load.seconds.append(time.monotonic() - began)
                await asyncio.sleep(pause)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(one())
        try:
            yield load
        finally:
            load.running = False


async def _outcome(client: httpx2.AsyncClient, ns: Namespace, path: str) -> str:
    try:
        answer = await client.get(f"https://{INGRESS}{path}", **ns.named())
    except httpx2.HTTPError as error:
        return type(error).__name__
    return str(answer.status_code)


@contextlib.contextmanager
def loaded_inside(ns: Namespace, path: str) -> Iterator[Callable[[], dict[str, Any]]]:
    """
    Send requests through the Service from a pod with the service's own image, on
    kept-alive connections, without retries; yield what gives the totals so far.
    """
    containers = ns.get("deployment", "httpserver")["spec"]["template"]["spec"]
    source = Path(keep_alive.__file__).read_text()
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "keep-alive"},
        "spec": {
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "keep-alive",
                    "image": containers["containers"][0]["image"],
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python", "-c", source, "httpserver", "80", path],
                    "securityContext": RESTRICTED,
                }
            ],
        },
    }
    ns.kubectl("create", "-f", "-", stdin=json.dumps(manifest))
    try:
        ns.kubectl("wait", "pod/keep-alive", "--for=condition=Ready", WAIT)
        log = ("logs", "keep-alive", "--tail=1")

        def totals() -> dict[str, Any]:
            return await_value(lambda: json.loads(ns.kubectl(*log)), bool)

        totals()
        yield totals
    finally:
        ns.kubectl("delete", "pod", "keep-alive", "--now", "--ignore-not-found")


@contextlib.contextmanager
def forwarded(
    ns: Namespace, target: str, port: int, *, again: bool = True
) -> Iterator[int]:
    """Give a port on 127.0.0.1 that leads to *port* of a pod or Service, see there."""
    with forward(ns.name, target, port, again=again) as local:
        yield local


@contextlib.contextmanager
def namespace(name: str, **options: Any) -> Iterator[Namespace]:
    """
    Give a namespace that is not there yet and is gone afterwards.

    A failure within the block tells what it looked like.
    """
    result = Namespace(name, **options)
    result.delete()
    try:
        yield result
    except Exception:
        print(state(name))  # noqa: T201 - it is gone when the failure is told
        raise
    finally:
        result.delete()


@contextlib.contextmanager
def installed_chart(
    name: str, *options: str, image: tuple[str, str], host: str
) -> Iterator[Namespace]:
    """Give a namespace with the chart in it, ready, of *image* and with *options*."""
    repository, tag = image
    with namespace(name, host=host) as ns:
        helm(
            "install", "httpserver", "helm/httpserver", "--namespace", name,
            "--create-namespace", "--wait", WAIT, *options,
            "--set", f"image.repository={repository},image.tag={tag}",
            "--set", f"image.pullPolicy=IfNotPresent,tests.timeoutSeconds={LIMIT:g}",
        )  # fmt: skip
        yield ns
        helm("uninstall", "httpserver", "--namespace", name, "--wait")
