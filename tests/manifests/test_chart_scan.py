"""What scanners, schemas and document tools say about the chart."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.chart import CHART, PROFILES, need_tool, render_text
from tests.support.scanners import (
    checkov_failures,
    kube_score_complaints,
    schema_complaints,
)

DIGEST = f'image.digest="sha256:{"0" * 64}"'
"""A digest is known only when an image has been pushed, so a scan brings its own."""

SCANNED = {
    "default": (),
    "production": (CHART / "values-production.yaml",),
}
each_scanned = pytest.mark.parametrize("files", SCANNED.values(), ids=SCANNED)


def written(
    folder: Path, files: tuple[Path, ...], *, sets: tuple[str, ...] = ()
) -> Path:
    """Render the chart into a file."""
    rendered = folder / "rendered.yaml"
    rendered.write_text(render_text(*files, sets=sets))
    return rendered


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_objects_fit_the_schemas_of_kubernetes(profile: Path, tmp_path: Path) -> None:
    """Every built-in object is valid, without unknown fields."""
    assert schema_complaints(written(tmp_path, (profile,))) == ""


@each_scanned
def test_kube_score_finds_nothing(files: tuple[Path, ...], tmp_path: Path) -> None:
    """All of kube-score's tests pass, the optional ones too."""
    assert kube_score_complaints(written(tmp_path, files, sets=(DIGEST,))) == []


@each_scanned
def test_checkov_finds_nothing(files: tuple[Path, ...], tmp_path: Path) -> None:
    """No rule of checkov fails; test pods, which end by themselves, skip the probes."""
    written(tmp_path, files, sets=(DIGEST,))

    assert checkov_failures(tmp_path) == []


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
