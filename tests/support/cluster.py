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
from typing import Any, TypeVar

import httpx2

__all__ = ["Load", "Namespace", "await_value", "get_json", "helm", "kubectl", "loaded"]

T = TypeVar("T")

INGRESS = "127.0.0.1"
"""Address of the ingress controller; a kind cluster maps its ports here too."""

HOST = "httpserver.example.com"


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

    def __init__(self, name: str, *, deployment: str = "httpserver") -> None:
        self.name = name
        self.deployment = deployment

    def kubectl(self, *arguments: str, **options: Any) -> str:
        return kubectl("-n", self.name, *arguments, **options)

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def await_rollout(self) -> None:
        target = f"deployment/{self.deployment}"
        self.kubectl("rollout", "status", target, "--timeout=240s")

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

    def https(self, **options: Any) -> httpx2.Client:
        """A client that trusts our CA alone and checks the certificate's name."""
        context = ssl.create_default_context(cadata=self.ca())
        return httpx2.Client(verify=context, timeout=30, **options)

    def delete(self) -> None:
        kubectl("delete", "namespace", self.name, "--ignore-not-found", "--wait=true")


def get_json(client: httpx2.Client, path: str) -> Any:
    """Ask the ingress for *path* by its address, with name and SNI of the host."""
    return ask(client, path).raise_for_status().json()


def ask(client: httpx2.Client, path: str, **options: Any) -> httpx2.Response:
    return client.get(
        f"https://{INGRESS}{path}",
        headers={"host": HOST},
        extensions={"sni_hostname": HOST},
        **options,
    )


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
    ca: str, path: str, *, clients: int = 8, pause: float = 0.05
) -> AsyncIterator[Load]:
    """Send requests through the ingress on kept-alive connections, without retries."""
    context = ssl.create_default_context(cadata=ca)
    load = Load()

    async def one() -> None:
        async with httpx2.AsyncClient(verify=context, timeout=20) as client:
            while load.running:
                load.answers[await _outcome(client, path)] += 1
                await asyncio.sleep(pause)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(one())
        try:
            yield load
        finally:
            load.running = False


async def _outcome(client: httpx2.AsyncClient, path: str) -> str:
    try:
        answer = await client.get(
            f"https://{INGRESS}{path}",
            headers={"host": HOST},
            extensions={"sni_hostname": HOST},
        )
    except httpx2.HTTPError as error:
        return type(error).__name__
    return str(answer.status_code)


@contextlib.contextmanager
def namespace(name: str) -> Iterator[Namespace]:
    """Give a namespace that is not there yet and is gone afterwards."""
    result = Namespace(name)
    result.delete()
    try:
        yield result
    finally:
        result.delete()
