"""wrk, the load generator: run it, read its report."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["MISSING", "Report", "found", "load"]

MISSING = "skipped: wrk is not installed (Debian package wrk)"

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    What wrk saw.

    Attributes:
        rate: Answers per second that were 2xx or 3xx.
        requests: Answers in all.
        p50: Median latency in milliseconds.
        p99: 99th percentile of the latency in milliseconds.
        failed: Answers that were not 2xx or 3xx, and socket errors of any kind.
    """

    rate: float
    requests: int
    p50: float
    p99: float
    failed: int


def found() -> bool:
    """Whether there is a wrk."""
    return shutil.which("wrk") is not None


def load(
    port: int,
    path: str,
    *,
    connections: int,
    seconds: int,
    script: Sequence[object] = (),
) -> Report:
    """Load 127.0.0.1 with one thread of wrk; a script is a file and its arguments."""
    url = f"http://127.0.0.1:{port}{path}"
    options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout=30s"]
    arguments: list[str] = []
    if script:
        file, *others = map(str, script)
        options, arguments = [*options, "-s", file], ["--", *others]
    done = subprocess.run(
        ["wrk", "--latency", *options, url, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=seconds + 60,
    )
    return parse(done.stdout)


def parse(text: str) -> Report:
    """Return what a report of wrk says."""
    errors = re.search(r"Socket errors: (.*)", text)
    others = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = sum(int(n) for n in re.findall(r"\d+", errors[1])) if errors else 0
    refused = int(others[1]) if others else 0
    requests = int(re.search(r"(\d+) requests in", text)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    return Report(
        rate=rate * (1 - refused / max(requests, 1)),
        requests=requests,
        p50=_milliseconds(text, "50%"),
        p99=_milliseconds(text, "99%"),
        failed=broken + refused,
    )


def _milliseconds(text: str, percentile: str) -> float:
    value, unit = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s|m)", text).groups()
    return float(value) * _UNITS[unit]
