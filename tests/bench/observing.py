"""
What metrics, access log and traces of 1 % of the requests cost, as a ratio to the same
server without them: a small JSON answer on 50 kept connections, `wrk -t1 -c50`. Spans
go by OTLP and HTTP to a collector that throws them away. Beside it what traces alone
cost FastAPI.
"""

import contextlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.bench import wrk
from tests.bench.contestants import (
    FASTAPI,
    OBSERVED,
    TRACED_BY_CONTRIB,
    TRACED_BY_FASTAPI,
    UNOBSERVED,
    UNTRACED,
    Contestant,
    available,
)
from tests.bench.serving import Results, cpu, measure, rate
from tests.bench.tables import print_ratios, print_table, rounds, three

__all__ = ["main"]

COLUMNS = ("server", "requests/s (min / median / max)", "CPU µs per request", "failed")

PEERS = (TRACED_BY_FASTAPI, TRACED_BY_CONTRIB)


def main() -> None:
    """Print the table and the ratios."""
    if not wrk.found():
        print(wrk.MISSING)
        return
    ours = (UNOBSERVED, UNTRACED, OBSERVED)
    with _collector() as url:
        os.environ |= {
            "BENCH_COLLECTOR": url,
            "HTTPSERVER_TRACING__OTLP__ENDPOINT": url,
            "HTTPSERVER_TRACING__OTLP__PROTOCOL": "http",
        }
        results = rounds(available((*ours, FASTAPI, *PEERS)), measure)
    print_table(COLUMNS, (_row(each, results) for each in results))
    _print_ratios(results)


def _row(contestant: Contestant, results: Results) -> list[str]:
    measured = results[contestant]
    return [
        contestant.name,
        three(each.report.rate for each in measured),
        f"{cpu(results, contestant) * 1000:.1f}",
        f"{sum(each.report.failed for each in measured):,}",
    ]


def _print_ratios(results: Results) -> None:
    def dearer(one: Contestant, other: Contestant) -> float | None:
        if one not in results:
            return None
        return cpu(results, one) / cpu(results, other)

    rows = [
        ("metrics and access log to none of them", dearer(UNTRACED, UNOBSERVED), ""),
        ("metrics, access log, traces to none", dearer(OBSERVED, UNOBSERVED), ""),
        ("traces to none, all else on", dearer(OBSERVED, UNTRACED), ""),
        *((f"{one.name} to FastAPI", dearer(one, FASTAPI), "") for one in PEERS),
    ]
    print_ratios("CPU per request, ratio of medians", rows)
    whole = rate(results, OBSERVED) / rate(results, UNOBSERVED)
    print_ratios("requests/s, ratio of medians", [("everything to none", whole, "")])


class _Taker(BaseHTTPRequestHandler):
    """Takes spans and throws them away."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def _collector() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Taker)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
