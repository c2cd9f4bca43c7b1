"""Looking at services from outside a running one, as the command `discover` does."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

from service.discovery.assembly import assemble
from service.observability.discovery_metrics import DiscoveryMetrics
from service.settings import DiscoverySettings

__all__ = ["as_lines", "looks"]

_PAUSE = 0.1
"""Seconds between looks at what is known."""


async def looks(
    settings: DiscoverySettings, services: list[str], *, patience: float
) -> AsyncGenerator[dict[str, Any], None]:
    """
    Yield what is known of some services: once all were heard of, and after each change.

    Args:
        settings: Where services are.
        services: Which; all without.
        patience: Seconds to wait for the first answers of all.
    """
    found = assemble(
        lambda: settings,
        metrics=DiscoveryMetrics(),
        prefix="httpserver:discovery:",
        ready=lambda: False,
        announces=False,
    )
    async with AsyncExitStack() as stack:
        for part in found.parts:
            await part.start()
            stack.push_async_callback(part.stop)
        end = asyncio.get_running_loop().time() + patience
        last: object = None
        while True:
            names = services or found.discovery.registry.services
            seen = {name: found.discovery.service(name) for name in names}
            late = asyncio.get_running_loop().time() >= end
            heard = [
                not each or each["heard_seconds_ago"] is not None
                for each in seen.values()
            ]
            if (late or all(heard)) and last != (last := _without_ages(seen)):
                yield seen
            await asyncio.sleep(_PAUSE)


def as_lines(seen: dict[str, Any]) -> list[str]:
    """Return a line for each endpoint, and one for each service that has none."""
    lines = []
    for name, service in seen.items():
        why = service.get("failing") if service else "unknown"
        endpoints = service.get("endpoints", [])
        for each in endpoints:
            more = [each[key] for key in ("zone",) if key in each]
            lines.append("  ".join([name, each["address"], each["state"], *more]))
        if why:
            lines.append(f"{name}  -  {why}")
        elif not endpoints:
            lines.append(f"{name}  -  no endpoints")
    return lines


def _without_ages(seen: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {key: value for key, value in service.items() if "ago" not in key}
        for name, service in seen.items()
    }
