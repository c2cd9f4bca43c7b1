"""Writes the dashboards: the same bytes for the same code, so that a test compares."""

import json
from collections.abc import Callable
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from tools.dashboards import logs, overview, runtime, slo
from tools.written import keep

__all__ = ["DASHBOARDS", "FOLDER", "MAY_BE_EMPTY", "main", "render"]

ROOT = Path(__file__).resolve().parents[2]

FOLDER = ROOT / "helm" / "httpserver" / "files" / "dashboards"
"""Where the files are: the chart takes them, and so does k8s/components/dashboards."""

DASHBOARDS: dict[str, Callable[[], Dashboard]] = {
    "logs": logs.dashboard,
    "overview": overview.dashboard,
    "runtime": runtime.dashboard,
    "slo": slo.dashboard,
}
"""What makes each dashboard, by the name of its file."""


MAY_BE_EMPTY = {
    "Alerts": "nothing is wrong",
    "Provider of text messages, p99": "no message was sent",
    "Spans of traces": "`tracing.exporter` is `none`",
    "Starts": "no process has started within the time that is shown",
    "Text messages": "`sms.enabled` is not set",
    "Versions": "no other version has come within the time that is shown",
}
"""Panels and annotations that may show nothing where all is well, and why. A test lets
all of them happen; what needs TLS is not among them, because all tests switch it on."""


def render(folder: Path = FOLDER) -> dict[Path, str]:
    """
    Return what the files should hold.

    Args:
        folder: Folder of the files.
    """
    return {folder / f"{name}.json": _json(make()) for name, make in DASHBOARDS.items()}


def _json(made: Dashboard) -> str:
    plain = json.loads(JSONEncoder().encode(made))
    for link in plain["links"]:
        # the library hides links in a menu, whatever it is told
        link.pop("placement", None)
    return json.dumps(plain, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or only compare them; the result is the exit code."""
    return keep(
        render(), description="Write the Grafana dashboards.", arguments=arguments
    )
