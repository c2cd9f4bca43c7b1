"""What a running service says of itself: series of its admin port, and its memory."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx2

from tests.support.process import ServiceProcess

__all__ = [
    "await_resident",
    "await_value",
    "known_value",
    "resident_bytes",
    "value",
]


def value(service: ServiceProcess, series: str) -> float:
    """Return the value of *series*, written with sorted labels; 0 when unknown."""
    return next(_values(service, series), 0.0)


def known_value(service: ServiceProcess, series: str) -> float:
    """Return the value of *series*, which is there, and there once."""
    found = list(_values(service, series))
    assert len(found) == 1, series
    return found[0]


def _values(service: ServiceProcess, series: str) -> Iterator[float]:
    text = httpx2.get(f"{service.admin_url}/metrics", timeout=60).text
    for line in text.splitlines():
        name, _, number = line.rpartition(" ")
        if name == series:
            yield float(number)


def await_value(
    service: ServiceProcess, series: str, wanted: float, *, limit: float = 60.0
) -> None:
    """Wait until *series* has at least the *wanted* value (0: exactly), or fail."""
    end = time.monotonic() + limit
    while True:
        found = value(service, series)
        if found == wanted or (wanted and found >= wanted):
            return
        assert time.monotonic() < end, f"{series} is {found}, not {wanted}"
        time.sleep(0.05)


def resident_bytes(service: ServiceProcess) -> int:
    """Return the resident memory of the process."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    line = next(each for each in status.splitlines() if each.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def await_resident(
    service: ServiceProcess, bound: float, *, limit: float = 60.0
) -> int:
    """Wait until the process has no more than *bound* bytes resident; return them."""
    end = time.monotonic() + limit
    while (found := resident_bytes(service)) > bound:
        assert time.monotonic() < end, f"{found} bytes are resident, not {bound:.0f}"
        time.sleep(0.1)
    return found
