"""A cluster that KUBECONFIG names: commands, HTTPS through its ingress, load."""

import asyncio
import base64
import contextlib
import json
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from tests.support import keep_alive

__all__ = [
    "RESTRICTED",
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

T = TypeVar("T")

INGRESS = "127.0.0.1"
"""Address of the ingress controller; a kind cluster maps its ports here too."""

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""Security context of a container that the restricted profile lets in."""


def kubectl(*arguments: str, stdin: str | None = None, limit: float = 300) -> str:
    """Run kubectl and return what it prints; its complaint is in the failure."""
    return _command(["kubectl", *arguments], stdin=stdin, limit=limit)


def helm(*arguments: str, limit: float = 300) -> str:
    """Run helm and return what it prints."""
    return _command(["helm", *arguments], limit=limit)


def _command(
    command: list[str], *, stdin: str | None = None, limit: float = 300
) -> str:
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=limit
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr or done.stdout}")
    return done.stdout


def await_value(
    get: Callable[[], T], wanted: Callable[[T], bool], *, limit: float = 120
) -> T:
    """Return what *get* gives once it is *wanted*; fail with the last value."""
    end = time.monotonic() + limit
    while True:
        value = get()
        if wanted(value):
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit:g} s; last: {value!r:.2000}")
        time.sleep(0.5)


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
        self.kubectl("rollout", "status", target, "--timeout=240s")

    def await_leavers(self) -> None:
        """Wait until the pods that were replaced are gone."""
        selector = ("-l", "app.kubernetes.io/name=httpserver")
        wanted = self.get("deployment", "httpserver")["spec"]["replicas"]
        await_value(
            lambda: len(self.get("pods", *selector)["items"]), lambda n: n == wanted
        )

    def pods(self) -> list[dict[str, Any]]:
        """The running pods of the service, those that are leaving left out."""
        pods = self.get("pods", "-l", "app.kubernetes.io/name=httpserver")["items"]
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
        self.kubectl("wait", "certificate/httpserver-tls", "--for=condition=Ready",
                     "--timeout=120s")  # fmt: skip
        secret = self.get("secret", "httpserver-tls")
        return base64.b64decode(secret["data"]["ca.crt"]).decode()

    def trust(self) -> ssl.SSLContext:
        """What a client needs that trusts our CA alone."""
        return ssl.create_default_context(cadata=self.ca())

    def await_https(self) -> None:
        """Wait until the ingress controller has taken up host and certificate."""

        def answer() -> str:
            try:
                return str(self.ask("/livez").status_code)
            except httpx2.HTTPError as error:
                return repr(error)

        await_value(answer, lambda status: status == "200", limit=60)

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
        with httpx2.Client(verify=trust or self.trust(), timeout=30) as client:
            return client.request(
                method, f"https://{INGRESS}{path}", **named, **options
            )

    def named(self) -> dict[str, Any]:
        """Options of a request to the ingress' address for the host."""
        return {
            "headers": {"host": self.host},
            "extensions": {"sni_hostname": self.host},
        }

    def delete(self) -> None:
        kubectl("delete", "namespace", self.name, "--ignore-not-found", "--wait=true")


class Load:
    """What came of the requests of a load: answers by status, errors by kind."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
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
        async with httpx2.AsyncClient(verify=trust, timeout=20) as client:
            while load.running:
                load.answers[await _outcome(client, ns, path)] += 1
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
        ns.kubectl("wait", "pod/keep-alive", "--for=condition=Ready", "--timeout=60s")
        log = ("logs", "keep-alive", "--tail=1")
        await_value(lambda: ns.kubectl(*log), bool, limit=30)
        yield lambda: json.loads(ns.kubectl(*log))
    finally:
        ns.kubectl("delete", "pod", "keep-alive", "--now")


@contextlib.contextmanager
def forwarded(ns: Namespace, target: str, port: int) -> Iterator[int]:
    """Give a port on 127.0.0.1 that leads to *port* of a pod or Service."""
    command = ["kubectl", "-n", ns.name, "port-forward", target, f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            yield int(line.partition("127.0.0.1:")[2].split()[0])
        finally:
            process.terminate()


@contextlib.contextmanager
def namespace(name: str, **options: Any) -> Iterator[Namespace]:
    """Give a namespace that is not there yet and is gone afterwards."""
    result = Namespace(name, **options)
    result.delete()
    try:
        yield result
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
            "--create-namespace", "--wait", "--timeout", "240s", *options,
            "--set", f"image.repository={repository},image.tag={tag}",
            "--set", "image.pullPolicy=IfNotPresent",
        )  # fmt: skip
        yield ns
        helm("uninstall", "httpserver", "--namespace", name, "--wait")
