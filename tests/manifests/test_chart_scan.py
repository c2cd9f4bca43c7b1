"""What scanners, schemas and document tools say about the chart."""

import functools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.chart import (
    CHART,
    PROFILES,
    need_tool,
    render_text,
)

DIGEST = f'image.digest="sha256:{"0" * 64}"'
"""A digest is known only when an image has been pushed, so a scan brings its own."""

SCANNED = {
    "default": (),
    "production": (CHART / "values-production.yaml",),
}
each_scanned = pytest.mark.parametrize("files", SCANNED.values(), ids=SCANNED)


@functools.cache
def optional_tests(kube_score: str) -> list[str]:
    """Names of kube-score's optional tests."""
    listing = subprocess.run(
        [kube_score, "list"], capture_output=True, text=True, check=True
    ).stdout
    return [row.split(",")[0] for row in listing.splitlines() if ",optional" in row]


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_objects_fit_the_schemas_of_kubernetes(profile: Path, tmp_path: Path) -> None:
    """Every built-in object passes kubernetes-validate without unknown fields."""
    rendered = tmp_path / "rendered.yaml"
    rendered.write_text(render_text(profile))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "kubernetes_validate",
            "--strict",
            "--quiet",
            "--no-warn",
            str(rendered),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@each_scanned
def test_kube_score_finds_nothing(files: tuple[Path, ...], tmp_path: Path) -> None:
    """All of kube-score's tests pass, the optional ones too."""
    kube_score = need_tool("kube-score")
    rendered = tmp_path / "rendered.yaml"
    rendered.write_text(render_text(*files, sets=(DIGEST,)))
    optional = optional_tests(kube_score)
    done = subprocess.run(
        [
            kube_score,
            "score",
            "--output-format=ci",
            *(f"--enable-optional-test={name}" for name in optional),
            str(rendered),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line]
    bad = [line for line in lines if re.match(r"\[(CRITICAL|WARNING)\]", line)]

    assert optional
    assert any(line.startswith("[OK]") for line in lines)
    assert bad == []


@each_scanned
def test_checkov_finds_nothing(files: tuple[Path, ...], tmp_path: Path) -> None:
    """No rule of checkov fails; test pods, which end by themselves, skip the probes."""
    checkov = need_tool("checkov")
    (tmp_path / "rendered.yaml").write_text(render_text(*files, sets=(DIGEST,)))
    done = subprocess.run(
        [
            checkov,
            "--directory",
            str(tmp_path),
            "--framework=kubernetes",
            "--output=json",
            "--skip-download",  # of guidelines, from outside
            "--compact",
            "--quiet",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    failed = [
        f"{one['check_id']} {one['resource']}: {one['check_name']}"
        for one in report["results"]["failed_checks"]
    ]

    assert failed == []
    assert report["summary"]["passed"] > 50


def test_units_of_the_chart_pass() -> None:
    """The suites under helm/httpserver/tests pass in helm-unittest."""
    done = subprocess.run(
        [need_tool("helm-unittest"), "--strict", str(CHART)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_readme_of_the_chart_is_current() -> None:
    """helm-docs would write the README that is there."""
    done = subprocess.run(
        [
            need_tool("helm-docs"),
            f"--chart-search-root={CHART}",
            "--sort-values-order=file",
            "--dry-run",
            "--log-level=error",
        ],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == (CHART / "README.md").read_text().strip(), (
        "run: helm-docs -c helm -s file"
    )


def test_every_value_has_its_sentence() -> None:
    """No row of the README's table is without a description."""
    rows = [
        row
        for row in (CHART / "README.md").read_text().splitlines()
        if row.startswith("| ")
    ]
    empty = [row for row in rows if re.search(r"\|\s*\|\s*$", row)]

    assert len(rows) > 100
    assert empty == []
