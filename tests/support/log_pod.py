"""A pod beside the service that speaks to its log through the Service, by the CLI."""

import contextlib
import json
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from typing import IO, Any

from tests.support.cluster import LIMIT, RESTRICTED, WAIT, Namespace

__all__ = ["LogPod", "log_pod"]

_END = "that-was-all"
_READS = 5
"""Times that something is read: now and then kubectl ends before a long output does."""


class LogPod:
    """What runs `httpserver log …` in the cluster."""

    def __init__(self, ns: Namespace, name: str, *options: str) -> None:
        self._name = name
        self._options = options
        self._ns = ns

    def run(self, command: str, *words: str, stdin: str = "") -> str:
        """Return what the command prints; its complaint is in the failure."""
        line = ("exec", "-i", self._name, "--", *self._line(command, *words))
        return self._ns.kubectl(*line, stdin=stdin)

    @contextlib.contextmanager
    def fed(self, command: str, *words: str) -> Iterator[IO[str]]:
        """Run the command on what the block writes; it has to succeed."""
        run = ["kubectl", "-n", self._ns.name, "exec", "-i", self._name, "--"]
        run += self._line(command, *words)
        with tempfile.TemporaryFile("w+") as said:
            process = subprocess.Popen(
                run, stdin=subprocess.PIPE, stdout=said, stderr=said, text=True
            )
            assert process.stdin is not None
            try:
                yield process.stdin
                process.stdin.close()
                code = process.wait(3 * LIMIT)
            finally:
                process.kill()
                process.wait()
            said.seek(0)
            assert code == 0, said.read()[-1500:]

    def values(self) -> list[str]:
        """Return the values of all records, which have to be lines of text."""
        line = f"{shlex.join(self._line('consume'))} && echo {_END}"
        for _ in range(_READS):
            told = self._ns.kubectl("exec", self._name, "--", "sh", "-c", line)
            *values, last = told.splitlines() or [""]
            if last == _END:
                return values
        raise AssertionError("kubectl never gave the output to its end")

    def _line(self, command: str, *words: str) -> list[str]:
        return ["python", "-m", "service", "log", command, *self._options, *words]


@contextlib.contextmanager
def log_pod(
    ns: Namespace, server: str, *, image: str, secret: str | None = None
) -> Iterator[LogPod]:
    """
    Give a pod of the service's own image that stays until the end.

    Args:
        ns: Where it runs.
        server: Host and port of the log.
        image: Name and tag.
        secret: Has the client's certificate; without, it speaks without TLS.
    """
    name = "log-client"
    ns.kubectl("create", "-f", "-", stdin=json.dumps(_pod(name, image, secret)))
    options = ["--server", server, "--time-out", "120"]
    if secret is not None:
        options += ["--ca", "/tls/ca.crt", "--cert", "/tls/tls.crt"]
        options += ["--cert-key", "/tls/tls.key"]
    try:
        ns.kubectl("wait", f"pod/{name}", "--for=condition=Ready", WAIT)
        yield LogPod(ns, name, *options)
    finally:
        ns.kubectl("delete", "pod", name, "--now", "--ignore-not-found")


def _pod(name: str, image: str, secret: str | None) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", "import time; time.sleep(3600)"],
        "securityContext": RESTRICTED,
    }
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "restartPolicy": "Never",
        "containers": [container],
    }
    if secret is not None:
        container["volumeMounts"] = [{"name": "tls", "mountPath": "/tls"}]
        spec["volumes"] = [{"name": "tls", "secret": {"secretName": secret}}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": spec,
    }
