"""An audit that could not ask is no clean one, and a finding is told as such."""

import json
import os

import pytest

from tools import audit

CLEAN = {"name": "a", "version": "1", "vulns": []}
FOUND = {
    "name": "b",
    "version": "2",
    "vulns": [
        {"id": "PYSEC-1", "fix_versions": ["3"]},
        {"id": "X", "fix_versions": []},
    ],
}
SKIPPED = {"name": "c", "skip_reason": "not found"}

REPORTS = {
    "clean": ([CLEAN], 0, "nothing is known against 1 packages"),
    "found": (
        [CLEAN, FOUND],
        1,
        "b 2: PYSEC-1, fixed in 3\nb 2: X, fixed in no version",
    ),
    "skipped": ([CLEAN, SKIPPED], 75, "could not ask about 1 of 2 packages: c"),
    "found and skipped": ([FOUND, SKIPPED], 1, "PYSEC-1"),
    "nothing asked": ([], 75, "could not ask about 0 of 0"),
}


@pytest.fixture
def pip_audit(tmp_path, monkeypatch):
    """A pip-audit that writes and answers what it is told to."""

    def become(output: str, *, code: int = 0, error: str = ""):
        program = tmp_path / "pip-audit"
        (tmp_path / "output").write_text(output)
        (tmp_path / "error").write_text(error)
        program.write_text(
            f'#!/bin/sh\necho "$@" >{tmp_path}/arguments\n'
            f"cat {tmp_path}/output\ncat {tmp_path}/error >&2\nexit {code}\n"
        )
        program.chmod(0o755)
        return tmp_path

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return become


@pytest.mark.parametrize(("packages", "code", "told"), REPORTS.values(), ids=REPORTS)
def test_report_has_its_exit_code(pip_audit, capsys, packages, code, told):
    """0 is clean, 1 a finding, 75 anything that was not asked about."""
    asked = pip_audit(json.dumps({"dependencies": packages}), code=code == 1)

    assert audit.main(["--ignore-vuln", "Y"]) == code
    assert told in capsys.readouterr().err
    arguments = (asked / "arguments").read_text()
    assert "--require-hashes" in arguments
    assert arguments.rstrip().endswith("--ignore-vuln Y")


def test_service_that_does_not_answer_is_told_apart(pip_audit, capsys):
    """pip-audit ends with 1 for this too; its last line says why."""
    pip_audit("No known vulnerabilities", code=1, error="trace\nNo such host")

    assert audit.main([]) == 75
    assert capsys.readouterr().err == "audit: could not ask: No such host\n"
