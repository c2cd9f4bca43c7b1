"""A Loki and a promtail with the configuration of helm/monitoring, and questions."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import yaml

from tests.support.chart import ROOT

__all__ = [
    "Loki",
    "documented_queries",
    "loki_config",
    "need_programs",
    "pipeline_stages",
    "promtail_config",
    "running",
    "shipping",
]

MONITORING = ROOT / "helm" / "monitoring"

FIVE_MINUTES = 300


class Loki:
    """
    A Loki server, by its URL.

    Args:
        url: Where it is.
        timeout: Seconds that an answer may take.
    """

    def __init__(self, url: str, *, timeout: float = 15) -> None:
        self.url = url
        self._timeout = timeout

    def lines(self, query: str) -> list[tuple[dict[str, str], str]]:
        """Return labels and text of each line of the last five minutes."""
        now = time.time()
        answer = self._get("query_range", query, start=now - FIVE_MINUTES, end=now + 60)
        streams = answer["result"]
        return [(s["stream"], text) for s in streams for _at, text in s["values"]]

    def values(self, query: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and value of each series that a metric query gives now."""
        result = self._get("query", query, time=time.time())["result"]
        return [(each["metric"], float(each["value"][1])) for each in result]

    def ask(self, query: str) -> list[Any]:
        """Return the lines of a log query, or the series of a metric query."""
        return list(self.lines(query) if query[0] == "{" else self.values(query))

    def _get(self, path: str, query: str, **times: float) -> dict[str, Any]:
        parameters = {name: str(int(at * 1e9)) for name, at in times.items()}
        answer = httpx2.get(
            f"{self.url}/loki/api/v1/{path}",
            params={"query": query, "limit": "1000", **parameters},
            timeout=self._timeout,
        )
        if answer.status_code != 200:
            raise AssertionError(f"{query}: {answer.status_code} {answer.text}")
        data: dict[str, Any] = answer.json()["data"]
        return data


def documented_queries() -> list[str]:
    """Return each LogQL query of the documents, without its comment."""
    queries = []
    for path in (ROOT / "docs" / "logging.md", MONITORING / "README.md"):
        blocks = path.read_text(encoding="utf-8").split("```logql\n")[1:]
        for block in blocks:
            lines = block.partition("```")[0].splitlines()
            queries += [each for each in lines if each and each[0] != "#"]
    return queries


def loki_config(folder: str, **server: Any) -> dict[str, Any]:
    """
    Return Loki's configuration as the chart makes it of `loki-values.yaml`, without
    what only several processes need; a test holds it against the chart.
    """
    values = yaml.safe_load((MONITORING / "loki-values.yaml").read_text())["loki"]
    disk = {
        "chunks_directory": f"{folder}/chunks",
        "rules_directory": f"{folder}/rules",
    }
    return {
        "auth_enabled": values["auth_enabled"],
        "analytics": values["analytics"],
        "common": {
            "path_prefix": folder,
            "storage": {values["storage"]["type"]: disk},
            **values["commonConfig"],
        },
        "schema_config": values["schemaConfig"],
        "limits_config": values["limits_config"],
        "compactor": values["compactor"],
        "server": server,
    }


def pipeline_stages() -> list[dict[str, Any]]:
    """Return what promtail does to each line, by `loki-stack-values.yaml`."""
    values = yaml.safe_load((MONITORING / "loki-stack-values.yaml").read_text())
    stages: list[dict[str, Any]] = values["promtail"]["config"]["snippets"][
        "pipelineStages"
    ]
    return stages


def promtail_config(
    *, push: str, positions: str, port: int, job: dict[str, Any]
) -> dict[str, Any]:
    """Return promtail's configuration with our pipeline for one scrape job."""
    return {
        "server": {"http_listen_port": port, "grpc_listen_port": 0},
        "clients": [{"url": f"{push}/loki/api/v1/push", "batchwait": "200ms"}],
        "positions": {"filename": positions},
        "scrape_configs": [{**job, "pipeline_stages": pipeline_stages()}],
    }


def need_programs() -> tuple[str, str]:
    """Return the paths of loki and promtail; skip the test where one is missing."""
    import pytest

    found = [shutil.which(name) for name in ("loki", "promtail")]
    if None in found:
        pytest.skip("loki or promtail is not on PATH")
    loki, promtail = found
    assert loki is not None
    assert promtail is not None
    return loki, promtail


@contextlib.contextmanager
def running(program: str, folder: Path) -> Iterator[Loki]:
    """Run a Loki on free ports of the loopback interface."""
    port, grpc = _free_port(), _free_port()
    address = {"http_listen_address": "127.0.0.1", "grpc_listen_address": "127.0.0.1"}
    config = loki_config(
        str(folder), http_listen_port=port, grpc_listen_port=grpc, **address
    )
    config["common"] |= {
        "instance_addr": "127.0.0.1",
        "ring": {"kvstore": {"store": "inmemory"}},
    }
    path = folder / "loki.yaml"
    path.write_text(yaml.safe_dump(config))
    loki = Loki(f"http://127.0.0.1:{port}")
    with _process(program, f"-config.file={path}", log=folder / "loki.log") as process:
        _await_answer(loki, process, folder / "loki.log")
        yield loki


@contextlib.contextmanager
def shipping(
    program: str, folder: Path, loki: Loki, *, text: str, **labels: str
) -> Iterator[None]:
    """Run a promtail that takes *text* to *loki*, as a file of containerd's."""
    logs = folder / "0.log"
    logs.write_text(text)
    found = {"targets": ["localhost"], "labels": {**labels, "__path__": str(logs)}}
    config = promtail_config(
        push=loki.url,
        positions=str(folder / "positions.yaml"),
        port=0,
        job={"job_name": "files", "static_configs": [found]},
    )
    config["server"]["http_listen_address"] = "127.0.0.1"
    path = folder / "promtail.yaml"
    path.write_text(yaml.safe_dump(config))
    with _process(program, f"-config.file={path}", log=folder / "promtail.log"):
        yield


@contextlib.contextmanager
def _process(*command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _await_answer(loki: Loki, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a question is answered; `/ready` would take 15 s more, and the
    first questions, asked before there is anybody to answer them, wait for 10 s."""
    loki = Loki(loki.url, timeout=1)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(log.read_text()[-3000:])
        with contextlib.suppress(httpx2.HTTPError, AssertionError):
            loki.lines('{app="nobody"}')
            return
        time.sleep(0.1)
    raise AssertionError(log.read_text()[-3000:])


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
