"""
Keep the copies of the rules in step with `helm/httpserver/files/rules/`.

    python -m tools.alert_rules            # rewrites the copies
    python -m tools.alert_rules --check    # exit 1 when one of them is old

The chart reads the rules itself. What can't read the chart's folder gets a copy: the
kustomize component (kustomize reads nothing above its root), a file for a plain
Prometheus, and values for the Prometheus of loki-stack.
"""

import sys
from pathlib import Path
from textwrap import indent
from typing import Any

import yaml

from tools.written import keep

__all__ = ["RULES", "groups", "main", "render"]

ROOT = Path(__file__).resolve().parent.parent
RULES = ROOT / "helm" / "httpserver" / "files" / "rules"
"""Folder of the rules: Prometheus' own files, any Prometheus takes them as they are."""

_WRITTEN = (
    "# Written by tools/alert_rules.py from helm/httpserver/files/rules/: change those,"
    " then run `python -m tools.alert_rules`.\n"
)
_COMPONENT = """\
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: httpserver
  namespace: httpserver
  labels:
    app.kubernetes.io/component: server
spec:
"""
_LOKI_STACK = """\
#
# Values for loki-stack beside loki-stack-values.yaml: `-f helm/monitoring/loki-stack-rules.yaml`.
prometheus:
  serverFiles:
    alerting_rules.yml:
"""  # noqa: E501 - a command is one line


def groups() -> list[dict[str, Any]]:
    """
    Return the rule groups.

    Returns: Groups as Prometheus has them, by file name and then in the file's order.
    """
    files = [yaml.safe_load(file.read_text()) for file in _files()]
    return [group for file in files for group in file["groups"]]


def render(root: Path = ROOT) -> dict[Path, str]:
    """
    Return what the copies should hold.

    Args:
        root: Folder of the project that they are written into.
    """
    parts = [file.read_text().replace("\ngroups:\n", "\n") for file in _files()]
    text = "groups:\n" + "\n".join(parts)
    monitoring = root / "helm" / "monitoring"
    component = root / "k8s" / "components" / "prometheusrule" / "prometheusrule.yaml"
    return {
        monitoring / "rules.yaml": _WRITTEN + text,
        monitoring / "loki-stack-rules.yaml": (
            _WRITTEN + _LOKI_STACK + indent(text, " " * 6)
        ),
        component: _WRITTEN + _COMPONENT + indent(text, "  "),
    }


def _files() -> list[Path]:
    return sorted(RULES.glob("*.yaml"))


def main(arguments: list[str] | None = None) -> int:
    """Write the copies, or only compare them; the result is the exit code."""
    description = (__doc__ or "").strip().split("\n")[0]
    return keep(render(), description=description, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
