"""
Reverse proxies before the same Go upstream, a small JSON answer: requests/s on 50 kept
connections, `wrk -t1 -c50`, and what a proxy adds to the latency of one connection that
asks one request after the other. Each proxy is one process and keeps its connections to
the upstream; ours has metrics, request ids, the overload guard and an access log.
"""

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench import wrk
from tests.bench.contestants import EVERYTHING, GO, Contestant, available
from tests.bench.nginx import nginx
from tests.bench.processes import running
from tests.bench.tables import print_ratios, print_table, rounds, seconds, three

__all__ = ["main"]

CONNECTIONS = 50
SECONDS = 4
COLUMNS = (
    "proxy",
    "requests/s (min / median / max)",
    "CPU µs per request",
    "p50 / p99 ms, 50 connections",
    "added p50 / p99 ms, 1 connection",
    "failed",
)
NGINX = """
  upstream go {{
    server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 10000000;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://go; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header X-Forwarded-For $remote_addr;
    }}
  }}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One round of one proxy; CPU in seconds per request."""

    loaded: wrk.Report
    alone: wrk.Report
    cpu: float


Results = dict[Contestant, list[Measured]]


def main() -> None:
    """Print the table and the ratios."""
    if not wrk.found():
        print(wrk.MISSING)
        return
    if not available([GO]):
        return
    with running(GO) as upstream, tempfile.TemporaryDirectory() as folder:
        os.environ["BENCH_UPSTREAM"] = f"http://127.0.0.1:{upstream.port}"
        ours, httpx = _ours(upstream.port), _httpx()
        other = _nginx(upstream.port, Path(folder))
        results = rounds([GO, *available((other, ours, httpx))], measure)
    print_table(COLUMNS, (_row(each, results) for each in results))
    _print_ratios(results, ours, httpx, other)


def measure(contestant: Contestant) -> Measured:
    """Load one proxy for a while."""
    with running(contestant) as proxy:
        wrk.load(proxy.port, contestant.path, connections=CONNECTIONS, seconds=1)
        before = proxy.cpu()
        target = (proxy.port, contestant.path)
        loaded = wrk.load(*target, connections=CONNECTIONS, seconds=seconds(SECONDS))
        spent = (proxy.cpu() - before) / loaded.requests
        alone = wrk.load(*target, connections=1, seconds=max(1, seconds(SECONDS) // 2))
        return Measured(loaded=loaded, alone=alone, cpu=spent)


def _row(contestant: Contestant, results: Results) -> list[str]:
    measured, direct = results[contestant], results[GO]
    added = [
        median(getattr(each.alone, what) for each in measured)
        - median(getattr(each.alone, what) for each in direct)
        for what in ("p50", "p99")
    ]
    return [
        "Go net/http, the upstream alone" if contestant is GO else contestant.name,
        three(each.loaded.rate for each in measured),
        f"{median(each.cpu for each in measured) * 1e6:.0f}",
        " / ".join(
            f"{median(getattr(each.loaded, what) for each in measured):.1f}"
            for what in ("p50", "p99")
        ),
        " / ".join(f"{each:.2f}" for each in added),
        f"{sum(each.loaded.failed + each.alone.failed for each in measured):,}",
    ]


def _print_ratios(
    results: Results,
    ours: Contestant,
    httpx: Contestant,
    other: Contestant,
) -> None:
    def rate(contestant: Contestant) -> float:
        return median(each.loaded.rate for each in results[contestant])

    to_nginx = rate(ours) / rate(other) if other in results else None
    rows = [
        ("httpserver to the httpx2 proxy", rate(ours) / rate(httpx), ""),
        ("httpserver to nginx", to_nginx, ""),
    ]
    print_ratios("requests/s, ratio of medians", rows)


def _ours(upstream: int) -> Contestant:
    routes = [{"path": "/", "upstream": f"http://127.0.0.1:{upstream}"}]
    changed: dict[str, object] = {
        "throttle.enabled": "false",
        "demo.enabled": "false",
        "proxy.enabled": "true",
        "proxy.routes": json.dumps(routes),
    }

    def command(port: int, admin: int) -> list[str]:
        settings = [f"--set={k}={v}" for k, v in (EVERYTHING | changed).items()]
        ports = ["--port", str(port), "--admin-port", str(admin)]
        base = [sys.executable, "-m", "service", "serve", "--host", "127.0.0.1"]
        return [*base, *ports, "--set=server.admin.host=127.0.0.1", *settings]

    return Contestant(name="**httpserver**", command=command)


def _httpx() -> Contestant:
    def command(port: int, _admin: int) -> list[str]:
        app = ["tests.bench.peers.httpx_proxy:proxy", "--factory", "--no-access-log"]
        return [sys.executable, "-m", "uvicorn", *app, "--port", str(port)]

    return Contestant(name="Starlette and httpx2 on uvicorn", command=command)


def _nginx(upstream: int, folder: Path) -> Contestant:
    return nginx(folder, lambda port: NGINX.format(upstream=upstream, port=port))
