"""What other programs say about manifests; each skips the test where it is missing."""

import functools
import json
import re
import subprocess
import sys
from pathlib import Path

from tests.support.chart import need_tool

__all__ = ["checkov_failures", "kube_score_complaints", "schema_complaints"]


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(each) for each in command], capture_output=True, text=True, check=False
    )


def schema_complaints(manifests: Path) -> str:
    """Return what kubernetes-validate finds in built-in objects, unknown fields too."""
    options = ("--strict", "--quiet", "--no-warn")
    done = _run(sys.executable, "-m", "kubernetes_validate", *options, manifests)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@functools.cache
def _optional_tests(kube_score: str) -> list[str]:
    rows = _run(kube_score, "list").stdout.splitlines()
    names = [row.split(",")[0] for row in rows if ",optional" in row]
    assert names
    return names


def kube_score_complaints(manifests: Path) -> list[str]:
    """Return the warnings of all of kube-score's tests, the optional ones too."""
    kube_score = need_tool("kube-score")
    optional = (
        f"--enable-optional-test={name}" for name in _optional_tests(kube_score)
    )
    done = _run(kube_score, "score", "--output-format=ci", *optional, manifests)
    lines = [line for line in done.stdout.splitlines() if line]
    assert any(line.startswith("[OK]") for line in lines), done.stderr
    return [line for line in lines if re.match(r"\[(CRITICAL|WARNING)\]", line)]


def checkov_failures(folder: Path) -> list[str]:
    """Return the rules of checkov that the manifests in *folder* fail."""
    done = _run(
        need_tool("checkov"),
        *("--directory", folder, "--framework=kubernetes", "--output=json"),
        *("--skip-download", "--compact", "--quiet"),
    )
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 50
    return [
        f"{one['check_id']} {one['resource']}: {one['check_name']}"
        for one in report["results"]["failed_checks"]
    ]
