"""The service as a reverse proxy before upstreams of a test."""

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx2

from tests.support.process import ServiceProcess, serving

__all__ = ["QUICK", "counted", "proxying", "route"]

QUICK = {"connect": 1.0, "head": 1.0, "idle": 1.0}
"""Time-outs of a route whose upstream is to be given up soon, in seconds."""


def route(upstream: str, path: str = "/up/", **fields: Any) -> dict[str, Any]:
    """Return a route that strips its prefix; slowness alone fails nothing of it."""
    timeouts = {"connect": 30.0, "head": 30.0, "idle": 30.0, "total": 60.0}
    timeouts |= fields.pop("timeouts", {})
    common = {"strip_prefix": True, "timeouts": timeouts}
    return {"path": path, "upstream": upstream} | common | fields


@contextlib.contextmanager
def proxying(*routes: dict[str, Any], **settings: Any) -> Iterator[ServiceProcess]:
    """Run the service with these routes until the block ends."""
    written = {"proxy__enabled": "true", "proxy__routes": json.dumps(routes)}
    quick = {"server__drain_delay": 0, "server__grace_period": 5}
    with serving(**quick | written | settings) as service:
        yield service


def counted(service: ServiceProcess, name: str, **labels: str) -> float:
    """Return the sum of a metric's values that have these labels."""
    text = httpx2.get(f"{service.admin_url}/metrics", timeout=60).text
    assert f"# TYPE {name} " in text, name
    total = 0.0
    for line in text.splitlines():
        match = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
        if match is None:
            continue
        found = dict(re.findall(r'(\w+)="([^"]*)"', match[1] or ""))
        if labels.items() <= found.items():
            total += float(match[2])
    return total
