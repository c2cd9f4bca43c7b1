"""Real NATS servers with JetStream, one or a cluster, while a test needs them."""

import contextlib
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.chart import need_tool
from tests.support.programs import Killable, free_ports

__all__ = ["NatsServer", "nats_cluster", "nats_server"]

LIMIT = 60.0
"""Seconds that servers may take to start and to find a leader."""
_CONFIG = """
server_name: {name}
listen: 127.0.0.1:{client}
http: 127.0.0.1:{http}
max_payload: 2097152
jetstream {{ store_dir: "{store}", {sync}max_mem: 64MB, max_file: {most} }}
{cluster}{extra}
"""
_CLUSTER = """
cluster {{ name: log, listen: 127.0.0.1:{own}, routes: [{routes}], pool_size: 1 }}
"""


class NatsServer(Killable):
    """
    A server on free ports of 127.0.0.1, with a store of its own.

    Attributes:
        name: In its cluster.
        url: Where clients connect, the same after each start.
    """

    def __init__(self, folder: Path, name: str, config: str, ports: tuple[int, int]):
        self.name, self._ports = name, ports
        self.url = f"nats://127.0.0.1:{ports[0]}"
        self._folder, self._config = folder, folder / f"{name}.conf"
        self._config.write_text(config)

    def start(self) -> None:
        """Start it; `ready` tells when it answers."""
        with (self._folder / f"{self.name}.log").open("a") as log:
            self._process = subprocess.Popen(
                [need_tool("nats-server"), "-c", str(self._config)],
                stdout=log,
                stderr=log,
            )

    def ready(self) -> bool:
        """Return whether it is healthy: JetStream is up and has caught up."""
        with contextlib.suppress(OSError, urllib.error.URLError, ValueError):
            return bool(self._get("healthz").get("status") == "ok")
        return False

    def await_ready(self) -> None:
        """Wait until it is, or fail."""
        end = time.monotonic() + LIMIT
        while not self.ready():
            assert time.monotonic() < end, (
                self._folder / f"{self.name}.log"
            ).read_text()
            time.sleep(0.05)

    def leader_of(self, stream: str) -> str | None:
        """Return which server leads *stream*, as far as this one knows."""
        found = self._get("jsz?streams=true&accounts=true")
        for account in found.get("account_details", ()):
            for each in account.get("stream_detail", ()):
                if each["name"] == stream:
                    leader = each.get("cluster", {}).get("leader")
                    return None if leader is None else str(leader)
        return None

    def _get(self, path: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._ports[1]}/{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


@contextlib.contextmanager
def nats_server(folder: Path, **options: Any) -> Iterator[NatsServer]:
    """Run one server until the block ends."""
    with nats_cluster(folder, servers=1, **options) as (server,):
        yield server


@contextlib.contextmanager
def nats_cluster(
    folder: Path,
    *,
    servers: int = 3,
    sync_always: bool = False,
    most: str = "1GB",
    extra: str = "",
) -> Iterator[list[NatsServer]]:
    """
    Run so many servers as one cluster until the block ends.

    Args:
        folder: Where their stores, settings and logs go.
        servers: How many.
        sync_always: Whether they sync each record before they acknowledge it.
        most: What a server's store may hold.
        extra: More lines of their settings.
    """
    need_tool("nats-server")
    made = _made(folder, servers, sync_always, most, extra)
    try:
        for server in made:
            server.start()
        for server in made:
            server.await_ready()
        yield made
    finally:
        for server in made:
            server.kill()


def _made(
    folder: Path, count: int, sync_always: bool, most: str, extra: str
) -> list[NatsServer]:
    ports = free_ports(3 * count)
    routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports[2::3])
    made = []
    for number in range(count):
        client, http, own = ports[3 * number : 3 * number + 3]
        name = f"nats-{number}"
        config = _CONFIG.format(
            name=name,
            client=client,
            http=http,
            store=folder / name,
            sync="sync_interval: always, " if sync_always else "",
            most=most,
            cluster=_CLUSTER.format(own=own, routes=routes) if count > 1 else "",
            extra=extra,
        )
        made.append(NatsServer(folder, name, config, (client, http)))
    return made
