"""
A provider of text messages that a test decides about, and notifications for it.

Only the standard library is needed: the end-to-end tests run this file in a pod, as
`python sms.py PORT`, where it prints a line for each message that it takes.
"""

import contextlib
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

__all__ = [
    "AUTH",
    "PROVIDER_TOKEN",
    "RECIPIENTS",
    "WEBHOOK_TOKEN",
    "FakeProvider",
    "Request",
    "alert",
    "notification",
    "providing",
    "sms_section",
]

PROVIDER_TOKEN = "secret-of-the-account"
WEBHOOK_TOKEN = "secret-of-the-webhook"
AUTH = {"authorization": f"Bearer {WEBHOOK_TOKEN}"}
RECIPIENTS = ["+15550101", "+15550102"]


def sms_section(**changes: Any) -> dict[str, Any]:
    """Return the section `sms` of settings with the gateway switched on."""
    return {
        "enabled": True,
        "account": "AC0123456789",
        "token": PROVIDER_TOKEN,
        "webhook_token": WEBHOOK_TOKEN,
        "sender": "+15550100",
        "recipients": RECIPIENTS,
    } | changes


def alert(**changes: Any) -> dict[str, Any]:
    """Return an alert as Alertmanager sends it."""
    return {
        "status": "firing",
        "labels": {
            "alertname": "HttpserverErrors",
            "severity": "critical",
            "namespace": "shop",
            "route": "/cart",
        },
        "annotations": {"summary": "5 % of the requests fail"},
        "startsAt": "2026-11-21T10:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph",
        "fingerprint": "0123456789abcdef",
    } | changes


def notification(*alerts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return what Alertmanager sends to a webhook."""
    return {
        "version": "4",
        "groupKey": '{}/{severity="critical"}:{alertname="HttpserverErrors"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "email-and-sms",
        "groupLabels": {"alertname": "HttpserverErrors"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "alerts": list(alerts) or [alert()],
    } | changes


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the provider was asked; `fields` are those of the form or JSON document."""

    path: str
    headers: dict[str, str]
    fields: dict[str, str]


class FakeProvider:
    """
    A provider on the loopback interface.

    Attributes:
        url: Where it is.
        status: What it answers from now on.
        statuses: What it answers to single numbers.
        headers: Headers of its answers.
        requests: Every request so far, taken or not.
        taken: Number and text of every message that it took.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 201
        self.statuses: dict[str, int] = {}
        self.headers: dict[str, str] = {}
        self.requests: list[Request] = []
        self.taken: list[tuple[str, str]] = []

    def texts(self, start: str = "") -> list[tuple[str, str]]:
        """Return what was taken, as far as the text begins with *start*."""
        return [each for each in self.taken if each[1].startswith(start)]

    def answer(self, request: Request) -> int:
        """Take *request* in, and return the status for it."""
        self.requests.append(request)
        to = request.fields.get("To") or request.fields["to"]
        text = request.fields.get("Body") or request.fields["text"]
        status = self.statuses.get(to, self.status)
        if status < 300:
            self.taken.append((to, text))
        return status


class _Handler(BaseHTTPRequestHandler):
    provider: FakeProvider

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        if self.headers["content-type"] == "application/json":
            fields = json.loads(body)
        else:
            pairs = parse_qs(body, strict_parsing=True)
            fields = {name: values[0] for name, values in pairs.items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(path=self.path, headers=headers, fields=fields)
        self.send_response(self.provider.answer(request))
        for name, value in self.provider.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def _server(address: str, port: int, provider: FakeProvider) -> ThreadingHTTPServer:
    handler = type("Handler", (_Handler,), {"provider": provider})
    server = ThreadingHTTPServer((address, port), handler)
    server.daemon_threads = True
    return server


@contextlib.contextmanager
def providing() -> Iterator[FakeProvider]:
    """Run a provider until the block ends."""
    provider = FakeProvider("")
    with _server("127.0.0.1", 0, provider) as server:
        provider.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield provider
        finally:
            server.shutdown()


class _Printing(FakeProvider):
    def answer(self, request: Request) -> int:
        status = super().answer(request)
        to, text = self.taken[-1]
        line = {
            "to": to,
            "text": text,
            "authorization": request.headers["authorization"],
        }
        print(json.dumps(line) + "\n", end="", flush=True)  # noqa: T201 - the pod's log
        return status


if __name__ == "__main__":
    _server("0.0.0.0", int(sys.argv[1]), _Printing("")).serve_forever()
