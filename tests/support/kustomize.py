"""The kustomize tree as the tests see it."""

import functools
import subprocess
from pathlib import Path
from typing import Any

from tests.support.chart import ROOT, documents, need_tool

__all__ = ["BUILDS", "build", "build_text", "pod_template", "workload"]

BUILDS = sorted(
    path.parent.relative_to(ROOT).as_posix()
    for pattern in ("k8s/overlays/*", "k8s/tests/*", "cert/*")
    for path in ROOT.glob(f"{pattern}/kustomization.yaml")
)
"""Folders that a user, or a test, builds."""


@functools.cache
def build_text(folder: str) -> str:
    """Return what `kubectl kustomize` makes of *folder*."""
    command = [need_tool("kubectl"), "kustomize", str(ROOT / folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr  # a deprecated field is a complaint too
    return done.stdout


def build(folder: str) -> list[dict[str, Any]]:
    """Return the objects of *folder*."""
    return documents(build_text(folder))


def workload(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the service's Deployment, which the log makes a StatefulSet."""
    (found,) = (
        each
        for each in manifests
        if each["kind"] in {"Deployment", "StatefulSet"}
        and each["metadata"]["name"] == "httpserver"
    )
    return found


def pod_template(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the pod template of the service."""
    template: dict[str, Any] = workload(manifests)["spec"]["template"]
    return template


def write(folder: str, target: Path) -> Path:
    """Write what *folder* builds to a file below *target* and return it."""
    path = target / "built.yaml"
    path.write_text(build_text(folder))
    return path
