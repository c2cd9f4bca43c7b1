"""
Files: GET of 100 MB on one connection and of 4 KB on 50 (`wrk -t1 -c50`), PUT of
100 MB, and the memory while BENCH_GB (10) go up and down as one file. nginx has one
worker, sendfile and an access log; its PUT neither waits for the disk nor takes a
digest, ours does both. Ours has everything on. MB and GB are powers of ten.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench import transfers, wrk
from tests.bench.contestants import Contestant, available, ours, uvicorn
from tests.bench.nginx import nginx
from tests.bench.processes import Running, running
from tests.bench.tables import print_ratios, print_table, rounds, seconds, three

__all__ = ["main"]

LARGE, SMALL = 100_000_000, 4_096
GIGABYTES = float(os.environ.get("BENCH_GB", "10"))
SECONDS = 4
MB, GB = 1e6, 1e9
SPARE = 1.5
"""Times what goes up must be free on the disk."""

NGINX = """
  sendfile on; tcp_nopush on; client_max_body_size 0;
  server {{
    listen 127.0.0.1:{port};
    location /files/ {{ root {folder}; dav_methods PUT; create_full_put_path on; }}
  }}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What went through; CPU in seconds of the server."""

    size: int
    took: float
    cpu: float

    @property
    def rate(self) -> float:
        """MB per second."""
        return self.size / MB / self.took

    @property
    def cost(self) -> float:
        """CPU seconds per GB."""
        return self.cpu / (self.size / GB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One round of one server; without *up* where there is no PUT."""

    down: Moved
    up: Moved | None
    small: wrk.Report | None
    small_cpu: float


Results = dict[Contestant, list[Measured]]


def main() -> None:
    """Print the tables, and the ratios that are asked for."""
    with ExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIRECTORY"))
        folder = Path(stack.enter_context(temporary)).absolute()
        (folder / "files").mkdir()
        for name, size in (("large", LARGE), ("small", SMALL)):
            (folder / "files" / name).write_bytes(os.urandom(size))
        httpserver, other = _httpserver(folder), _nginx(folder)
        found = available((other, httpserver, _starlette(folder)))
        takers = (other, httpserver)
        results = rounds(found, lambda each: _measure(each, uploads=each in takers))
        _print_moved("GET of 100 MB", {e: [m.down for m in results[e]] for e in found})
        taken = {e: [m.up for m in results[e] if m.up] for e in found if e in takers}
        _print_moved("PUT of 100 MB", taken)
        _print_small(results)
        grown = _print_memory(httpserver, folder)
    _print_ratios(results, httpserver, other, grown)


def _measure(contestant: Contestant, *, uploads: bool) -> Measured:
    """Move files to and from one server."""
    took = seconds(SECONDS)
    with running(contestant) as server:
        transfers.downloads(server.port, "/files/large", 0.1)
        before = server.cpu()
        size, lasted = transfers.downloads(server.port, "/files/large", took)
        down = Moved(size=size, took=lasted, cpu=server.cpu() - before)
        small, small_cpu = _small(server, took) if wrk.found() else (None, 0.0)
        up = None
        if uploads:
            before = server.cpu()
            size, lasted = transfers.uploads(server.port, "/files/put", LARGE, took)
            up = Moved(size=size, took=lasted, cpu=server.cpu() - before)
        return Measured(down=down, up=up, small=small, small_cpu=small_cpu)


def _small(server: Running, took: int) -> tuple[wrk.Report, float]:
    before = server.cpu()
    report = wrk.load(server.port, "/files/small", connections=50, seconds=took)
    return report, (server.cpu() - before) / max(1, report.requests)


def _print_moved(title: str, moved: dict[Contestant, list[Moved]]) -> None:
    columns = (title, "MB/s (min / median / max)", "CPU s per GB")
    rows = (
        (
            contestant.name,
            three(each.rate for each in measured),
            f"{median(each.cost for each in measured):.2f}",
        )
        for contestant, measured in moved.items()
    )
    print_table(columns, rows)
    print()


def _print_small(results: Results) -> None:
    columns = ("GET of 4 KB", "requests/s (min / median / max)", "p99 ms",
               "CPU µs per request", "failed")  # fmt: skip
    if not wrk.found():
        print(f"{wrk.MISSING}\n")
        return
    print_table(columns, _small_rows(results))
    print()


def _small_rows(results: Results) -> Iterator[list[str]]:
    for contestant, measured in results.items():
        reports = [each.small for each in measured if each.small]
        yield [
            contestant.name,
            three(each.rate for each in reports),
            f"{median(each.p99 for each in reports):.1f}",
            f"{median(each.small_cpu for each in measured) * 1e6:.0f}",
            f"{sum(each.failed for each in reports):,}",
        ]


def _print_memory(httpserver: Contestant, folder: Path) -> float | None:
    """Send one large file up and down; return the growth of the peak in MB."""
    size = int(GIGABYTES * GB)
    if shutil.disk_usage(folder).free < SPARE * size:
        print(f"skipped: {GIGABYTES:g} GB up and down: the disk has no room for it")
        return None
    rows = []
    with running(httpserver) as server, transfers.connected(server.port) as client:
        transfers.upload(client, "/files/put", LARGE)
        transfers.download(client, "/files/put")
        first = server.peak()
        rows.append(("100 MB up and down", "", f"{first:.0f}", f"{server.rss():.0f}"))
        for what in ("up", "down"):
            began = time.monotonic()
            if what == "up":
                transfers.upload(client, "/files/huge", size)
            else:
                transfers.download(client, "/files/huge")
            rate = f"{size / MB / (time.monotonic() - began):,.0f}"
            told = (f"{server.peak():.0f}", f"{server.rss():.0f}")
            rows.append((f"{GIGABYTES:g} GB {what}", rate, *told))
        grown = server.peak() - first
    print_table(("httpserver", "MB/s", "peak RSS, MB", "RSS after it, MB"), rows)
    return grown


def _print_ratios(
    results: Results, httpserver: Contestant, other: Contestant, grown: float | None
) -> None:
    ratios: list[tuple[str, float | None, str]] = []
    if other in results:
        mine, theirs = results[httpserver], results[other]
        got = median(each.down.rate for each in mine)
        put = median(each.up.rate for each in mine if each.up)
        ratios = [
            (
                "GET of 100 MB, MB/s to nginx",
                got / median(each.down.rate for each in theirs),
                ">= 0.5",
            ),
            (
                "PUT of 100 MB, MB/s to nginx",
                put / median(each.up.rate for each in theirs if each.up),
                "",
            ),
        ]
    flat = f"growth of the peak RSS by {GIGABYTES:g} GB up and down, MB"
    print_ratios("ours, medians", [*ratios, (flat, grown, "<= 10")])


def _httpserver(folder: Path) -> Contestant:
    command = ours(
        "service",
        throttle__enabled="false",
        files__enabled="true",
        files__root=folder / "files",
        files__max_upload_bytes=int(2 * max(GIGABYTES, 1) * GB),
    )
    return Contestant(name="**httpserver**", command=command, path="/files/small")


def _nginx(folder: Path) -> Contestant:
    def more(port: int) -> str:
        return NGINX.format(port=port, folder=folder)

    name = "nginx, one worker, sendfile, access log"
    return nginx(folder, more, name=name, path="/files/small")


def _starlette(folder: Path) -> Contestant:
    os.environ["BENCH_FILES"] = str(folder / "files")
    return Contestant(
        name="Starlette's FileResponse on uvicorn, no access log",
        command=uvicorn("files:files", "--factory", "--no-access-log"),
        path="/files/small",
    )
