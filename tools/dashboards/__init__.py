"""
The Grafana dashboards, as code.

    python -m tools.dashboards            # writes helm/httpserver/files/dashboards/
    python -m tools.dashboards --check    # exit 1 when one of the files is old

One module a dashboard, over the shared `panels` (how a panel looks), `queries` (what
is selected) and `frame` (variables, annotations, links). Every panel says what it shows
and what is good and bad there; every query is run against a real Prometheus, or Loki,
by a test. The chart takes the files, and so does the kustomize component.
"""

from tools.dashboards.writing import DASHBOARDS, FOLDER, MAY_BE_EMPTY, main, render

__all__ = ["DASHBOARDS", "FOLDER", "MAY_BE_EMPTY", "main", "render"]
