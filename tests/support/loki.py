"""A Loki and a promtail with the configuration of helm/monitoring, and questions."""

import contextlib
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx2
import yaml

from tests.support.chart import ROOT
from tests.support.programs import free_port, program

__all__ = [
    "Loki",
    "documented_queries",
    "loki_config",
    "need_programs",
    "pipeline_stages",
    "promtail_config",
    "shipped",
]

MONITORING = ROOT / "helm" / "monitoring"

FIVE_MINUTES = 300


class Loki:
    """
    A Loki server, by its URL.

    Args:
        url: Where it is.
        timeout: Seconds that an answer may take.
        since: Seconds of which lines are returned.
    """

    def __init__(
        self, url: str, *, timeout: float = 60, since: float = FIVE_MINUTES
    ) -> None:
        self.url = url
        self._since = since
        self._timeout = timeout

    def lines(self, query: str) -> list[tuple[dict[str, str], str]]:
        """Return labels and text of each line of the last time."""
        now = time.time()
        answer = self._get("query_range", query, start=now - self._since, end=now + 60)
        streams = answer["result"]
        return [(s["stream"], text) for s in streams for _at, text in s["values"]]

    def values(self, query: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and value of each series that a metric query gives now."""
        result = self._get("query", query, time=time.time())["result"]
        return [(each["metric"], float(each["value"][1])) for each in result]

    def ask(self, query: str) -> list[Any]:
        """Return the lines of a log query, or the series of a metric query."""
        return list(self.lines(query) if query[0] == "{" else self.values(query))

    def answers(self) -> bool:
        """Whether questions are answered already."""
        with contextlib.suppress(AssertionError):
            self.lines('{app="nobody"}')
            return True
        return False

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
    *, push: str, positions: str, job: dict[str, Any]
) -> dict[str, Any]:
    """Return promtail's configuration with our pipeline for one scrape job."""
    return {
        "server": {"http_listen_port": 0, "grpc_listen_port": 0},
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
def shipped(folder: Path, text: str, **labels: str) -> Iterator[Loki]:
    """
    Run a Loki and a promtail that takes *text* to it, as a file of containerd's.

    Args:
        folder: Where both have their files.
        text: The file.
        labels: Labels that Kubernetes would give.
    """
    loki_program, promtail_program = need_programs()
    (folder / "0.log").write_text(text)
    port = free_port()
    loki = Loki(f"http://127.0.0.1:{port}")
    path = f"{folder}/0.log"
    promtail = _local_promtail(folder, loki, {**labels, "__path__": path})
    # `/ready` would take 15 s more than a question, and the first questions, asked
    # before there is anybody to answer them, wait for 10 s
    impatient = Loki(loki.url, timeout=1)
    with (
        _running(
            loki_program, _local_loki(folder, port), folder, ready=impatient.answers
        ),
        _running(promtail_program, promtail, folder),
    ):
        yield loki


def _local_loki(folder: Path, port: int) -> dict[str, Any]:
    config = loki_config(
        str(folder),
        http_listen_address="127.0.0.1",
        http_listen_port=port,
        grpc_listen_address="127.0.0.1",
        grpc_listen_port=free_port(),
    )
    # a ring of its own, which asks nobody on the network who else is there
    ring = {"instance_addr": "127.0.0.1", "ring": {"kvstore": {"store": "inmemory"}}}
    return {**config, "common": {**config["common"], **ring}}


def _local_promtail(folder: Path, loki: Loki, labels: dict[str, str]) -> dict[str, Any]:
    found = {"targets": ["localhost"], "labels": labels}
    config = promtail_config(
        push=loki.url,
        positions=f"{folder}/positions.yaml",
        job={"job_name": "files", "static_configs": [found]},
    )
    here = {"http_listen_address": "127.0.0.1", "grpc_listen_address": "127.0.0.1"}
    return {**config, "server": {**config["server"], **here}}


def _running(
    program_path: str,
    config: dict[str, Any],
    folder: Path,
    *,
    ready: Callable[[], bool] = lambda: True,
) -> AbstractContextManager[object]:
    """Run one of the two with *config*."""
    name = Path(program_path).name
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(config))
    return program(
        [program_path, f"-config.file={file}"],
        log=folder / f"{name}.log",
        ready=ready,
        ended_by=signal.SIGKILL,
    )
