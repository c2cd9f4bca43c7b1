"""The Helm chart as the tests see it: rendered objects, and the tools for them."""

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

__all__ = [
    "CHART",
    "PROFILES",
    "ROOT",
    "Manifest",
    "config_map",
    "documents",
    "find_tool",
    "helm",
    "need_tool",
    "of_kind",
    "only",
    "render",
    "render_text",
]

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "httpserver"
PROFILES = sorted((CHART / "ci").glob("*-values.yaml")) + sorted(
    CHART.glob("values-*.yaml")
)
"""Values files whose renders must all be right."""

_KUBERNETES = "1.36.0"
"""Version that templates see as the cluster's."""

Manifest = dict[str, Any]


def find_tool(name: str) -> Path | None:
    """Find the program *name* on PATH, in `.cache/bin` or in `.scan-venv/bin`."""
    folders = (os.environ.get("PATH", ""), ROOT / ".cache/bin", ROOT / ".scan-venv/bin")
    found = shutil.which(name, path=os.pathsep.join(map(str, folders)))
    return Path(found) if found else None


def need_tool(name: str) -> str:
    """Find the program *name*; without it the test is skipped and says so."""
    found = find_tool(name)
    if found is None:
        pytest.skip(f"{name} is not installed (PATH, .cache/bin, .scan-venv/bin)")
    return str(found)


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm, which needs no cluster for what is asked of it here."""
    return subprocess.run(
        [need_tool("helm"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@functools.cache
def render_text(
    *files: Path,
    sets: Sequence[str] = (),
    chart: Path = CHART,
    release: str = "httpserver",
) -> str:
    """
    Render the chart as `helm template` writes it.

    Args:
        files: Values files, the last wins.
        sets: `name=value` each, values are JSON.
        chart: Folder or archive of the chart.
        release: Name of the release.
    """
    options = [
        *(f"--values={file}" for file in files),
        *(f"--set-json={one}" for one in sets),
    ]
    done = helm(
        "template",
        release,
        str(chart),
        "--namespace=httpserver",
        f"--kube-version={_KUBERNETES}",
        *options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def render(*files: Path, sets: Sequence[str] = (), **options: Any) -> list[Manifest]:
    """Render the chart to objects; the arguments are those of `render_text`."""
    return documents(render_text(*files, sets=tuple(sets), **options))


def documents(text: str) -> list[Manifest]:
    """Return the objects in *text*, by libyaml where it is: nine times as fast."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [each for each in yaml.load_all(text, loader) if each]


def of_kind(manifests: list[Manifest], kind: str) -> Iterator[Manifest]:
    """Pick the objects of *kind*."""
    return (document for document in manifests if document["kind"] == kind)


def only(manifests: list[Manifest], kind: str, name: str | None = None) -> Manifest:
    """Pick the one object of *kind* (and *name*)."""
    found = [
        document
        for document in of_kind(manifests, kind)
        if name in (None, document["metadata"]["name"])
    ]
    assert len(found) == 1, f"{len(found)} objects of kind {kind}, name {name}"
    return found[0]


def config_map(manifests: list[Manifest]) -> Manifest:
    """Pick the ConfigMap that holds the settings; the others are of dashboards."""
    (found,) = (
        each
        for each in of_kind(manifests, "ConfigMap")
        if "config.yaml" in each["data"]
    )
    return found
