"""Questions to a Prometheus, and one of our own for a test."""

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.programs import free_port, gets
from tests.support.programs import program as run

__all__ = ["Prometheus", "running"]


class Prometheus:
    """A Prometheus server, by its URL."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and value of each series that *expression* gives now."""
        result = self._data("query", query=expression)["result"]
        return [(each["metric"], float(each["value"][1])) for each in result]

    def course(
        self, expression: str, *, seconds: float, step: float
    ) -> list[tuple[dict[str, str], list[float]]]:
        """Return labels and values of each series in the last *seconds*."""
        now = time.time()
        result = self._data(
            "query_range", query=expression, start=now - seconds, end=now, step=step
        )["result"]
        return [
            (each["metric"], [float(value) for _, value in each["values"]])
            for each in result
        ]

    def exemplars(self, expression: str, *, seconds: float) -> list[dict[str, str]]:
        """Return the labels of the exemplars of what *expression* selects."""
        now = time.time()
        found = self._data(
            "query_exemplars", query=expression, start=now - seconds, end=now
        )
        return [each["labels"] for line in found for each in line["exemplars"]]

    def label_values(self, label: str, series: str) -> list[str]:
        """Return the values that *label* has among *series*."""
        found: list[str] = self._data(f"label/{label}/values", **{"match[]": series})
        return found

    def _data(self, path: str, **parameters: str | float) -> Any:
        url = f"{self.url}/api/v1/{path}"
        # over plain HTTP; to load the authorities would take most of the time
        answer = httpx2.get(url, params=parameters, timeout=60, verify=False).json()
        if answer["status"] != "success":
            raise AssertionError(f"{parameters}: {answer['error']}")
        return answer["data"]

    def value(self, expression: str) -> float | None:
        """Return the value of the one series that *expression* gives, or None."""
        result = self.query(expression)
        return result[0][1] if len(result) == 1 else None


@contextlib.contextmanager
def running(config: str, folder: Path, *options: str) -> Iterator[Prometheus]:
    """Run a Prometheus with *config* on a free port of the loopback interface."""
    program = shutil.which("prometheus")
    assert program is not None
    address = f"127.0.0.1:{free_port()}"
    (folder / "prometheus.yml").write_text(config)
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        *options,
    ]
    url = f"http://{address}"
    with contextlib.ExitStack() as stack:
        try:
            ready = gets(f"{url}/-/ready")
            stack.enter_context(run(command, log=folder / "log", ready=ready))
        except AssertionError as error:
            if any(each in str(error) for each in _OLD):
                pytest.skip("a Prometheus of release 3 or newer is not installed")
            raise
        yield Prometheus(url)


_OLD = ("unknown long flag", "not found in type config.ScrapeConfig")
"""What one says that knows less than a test asks for, as Debian 12's does."""
