"""The Dockerfile: hadolint is content, and what Kubernetes relies on stands in it."""

import re
import subprocess

from service import __version__
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


def test_dependencies_come_by_hash_and_before_the_source():
    """Nobody can swap a package, and a change of the source keeps their layer."""
    _, build, _ = DOCKERFILE.read_text().split("\nFROM ")
    steps = ["COPY requirements/runtime.txt", "--require-hashes", "COPY service"]

    assert sorted(map(build.index, steps)) == list(map(build.index, steps))
    assert "--hash=sha256:" in (ROOT / "requirements/runtime.txt").read_text()


def test_bytecode_of_service_and_standard_library_is_in_the_image():
    """It cannot be written where the image runs, and the public base has none."""
    _, build, final = DOCKERFILE.read_text().split("\nFROM ")
    importing = final.index('-c "import service.app')

    assert "compileall" in build
    assert final.index("COPY --from=build") < importing
    assert importing < final.index("PYTHONDONTWRITEBYTECODE=1")


def test_final_stage_drops_installers_and_their_wheels():
    """Neither pip nor what ensurepip would make it from is left; e2e looks inside."""
    final = DOCKERFILE.read_text().split("\nFROM ")[-1]
    (removal,) = re.findall(r"(?ms)^RUN find /usr (.+?) -exec rm", final)

    for name in ("pip", "setuptools", "wheel", "ensurepip", "python-wheels"):
        assert re.search(rf"[/ ']{name}", removal), name
    assert final.index("RUN find /usr") < final.index("COPY --from=build")


def test_label_has_the_version_of_the_package():
    """The default of the build argument follows the release."""
    assert f"ARG VERSION={__version__} " in DOCKERFILE.read_text()


def test_only_what_the_image_needs_is_in_the_context():
    """No secret of a working tree can slip into a layer."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()

    assert lines[0] == "*"
    assert [line for line in lines if line.startswith("!")] == [
        "!requirements/runtime.txt",
        "!service",
    ]
