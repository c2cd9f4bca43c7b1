"""The Dockerfile: hadolint is content, and what Kubernetes relies on stands in it."""

import re
import subprocess

from tests.support.chart import ROOT, need_tool

DOCKERFILE = ROOT / "Dockerfile"


def test_hadolint_finds_nothing():
    """No rule is broken and none is ignored."""
    command = [need_tool("hadolint"), str(DOCKERFILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_final_stage_runs_as_a_numbered_user_in_exec_form():
    """The kubelet can tell a number from root; signals reach the process itself."""
    final = DOCKERFILE.read_text().split("\nFROM ")[-1]

    assert re.search(r"^USER 10001:10001$", final, re.MULTILINE)
    assert 'ENTRYPOINT ["python", "-m", "service"]' in final
    assert 'CMD ["serve", "--port", "8099"]' in final
    assert "STOPSIGNAL SIGTERM" in final


def test_both_stages_have_the_same_base():
    """What is compiled in the first stage runs in the second."""
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(), re.MULTILINE)

    assert bases == ["python:3.13-slim-trixie"] * 2
