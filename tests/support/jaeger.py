"""A Jaeger of our own for a test: it takes spans by OTLP and is asked for traces."""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import yaml

from tests.support.chart import need_tool
from tests.support.programs import free_ports
from tests.support.programs import program as run

__all__ = ["Jaeger", "running"]

LIMIT = 60.0
"""Seconds that a trace may take to be found."""


class Jaeger:
    """
    A Jaeger, by its ports.

    Attributes:
        ports: Those of `grpc` and `http` (OTLP), and `query`.
    """

    def __init__(self, ports: dict[str, int], scheme: str) -> None:
        self.ports = ports
        self._scheme = scheme

    def endpoint(self, protocol: str) -> str:
        """Return where spans are taken."""
        return f"{self._scheme}://127.0.0.1:{self.ports[protocol]}"

    def traces(self, service: str = "httpserver", **tags: str) -> list[dict[str, Any]]:
        """Return the traces that have a span with these attributes."""
        found = httpx2.get(
            f"http://127.0.0.1:{self.ports['query']}/api/traces",
            params={
                "service": service,
                "tags": json.dumps({key.replace("__", "."): tags[key] for key in tags}),
                "limit": "1000",
            },
            timeout=60,
        )
        return list(found.raise_for_status().json()["data"] or ())

    def spans(self, **tags: str) -> dict[str, dict[str, Any]]:
        """Return the spans of those traces by name, their attributes as a mapping."""
        return {
            span["operationName"]: span
            | {"tags": {each["key"]: each["value"] for each in span["tags"]}}
            for found in self.traces(**tags)
            for span in found["spans"]
        }

    def await_spans(self, count: int = 1, **tags: str) -> dict[str, dict[str, Any]]:
        """Return so many spans once they are there, or fail."""
        end = time.monotonic() + LIMIT
        while len(found := self.spans(**tags)) < count:
            assert time.monotonic() < end, (tags, found)
            time.sleep(0.1)
        return found

    def await_traces(self, count: int) -> None:
        """Wait until there are so many traces."""
        end = time.monotonic() + LIMIT
        while (found := len(self.traces())) < count:
            assert time.monotonic() < end, found
            time.sleep(0.1)


@contextlib.contextmanager
def running(
    folder: Path,
    *,
    ports: dict[str, int] | None = None,
    tls: tuple[Path, Path] | None = None,
    users: str = "",
) -> Iterator[Jaeger]:
    """
    Run a Jaeger that keeps traces in memory until the block ends.

    Args:
        folder: Where its configuration and log go.
        ports: Where one was before, to come back there.
        tls: Certificate and key of the ports that take spans.
        users: Who may send spans, as `name:password`; anybody when empty.
    """
    program = need_tool("jaeger")
    names = ("grpc", "http", "query", "query_grpc")
    ports = ports or dict(zip(names, free_ports(4), strict=True))
    config = folder / "jaeger.yaml"
    config.write_text(yaml.safe_dump(_config(ports, tls, users)))
    jaeger = Jaeger(ports, "https" if tls else "http")
    with run(
        [program, f"--config={config}"],
        log=folder / "jaeger.log",
        ready=lambda: jaeger.traces() is not None,
        # its own traces have nowhere to go, and its end would wait for them
        environment=os.environ | {"OTEL_TRACES_SAMPLER": "always_off"},
    ):
        yield jaeger


def _config(
    ports: dict[str, int], tls: tuple[Path, Path] | None, users: str
) -> dict[str, Any]:
    def server(name: str) -> dict[str, Any]:
        found: dict[str, Any] = {"endpoint": f"127.0.0.1:{ports[name]}"}
        if tls:
            found["tls"] = {"cert_file": str(tls[0]), "key_file": str(tls[1])}
        if users:
            found["auth"] = {"authenticator": "basicauth"}
        return found

    def plain(name: str) -> dict[str, str]:
        return {"endpoint": f"127.0.0.1:{ports[name]}"}

    extensions: dict[str, Any] = {
        "jaeger_storage": {"backends": {"some": {"memory": {"max_traces": 10_000}}}},
        "jaeger_query": {
            "storage": {"traces": "some"},
            "http": plain("query"),
            "grpc": plain("query_grpc"),
        },
    }
    if users:
        extensions["basicauth"] = {"htpasswd": {"inline": users}}
    protocols = {"grpc": server("grpc"), "http": server("http")}
    pipeline = {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}
    return {
        "service": {
            "extensions": list(extensions),
            "pipelines": {"traces": pipeline},
            "telemetry": {"metrics": {"level": "none"}},
        },
        "extensions": extensions,
        "receivers": {"otlp": {"protocols": protocols}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "some"}},
    }
