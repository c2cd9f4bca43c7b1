"""The examples of docs/control.md, run as they stand."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from service.config import SettingsStore
from service.control.board import Switchboard
from service.control.routes import Control
from service.settings import Settings
from tests.support.control import TOKEN, controlled

DOCUMENT = Path("docs/control.md").read_text(encoding="utf-8")

needs_tools = pytest.mark.skipif(
    not all(map(shutil.which, ("bash", "curl", "jq"))), reason="needs bash, curl, jq"
)


@needs_tools
def test_examples_work_as_they_stand():
    """Every block, one after the other, in one shell that stops at the first error."""
    blocks = re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)
    with controlled() as service:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "".join(blocks)],
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "CONTROL": f"{service.admin_url}/control",
                "TOKEN": TOKEN,
            },
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count('"id":') >= 3
    assert service.events("control_changed")[0]["change"]["reason"] == "heap dump"


def test_table_has_every_endpoint():
    """Methods and paths, no more and no less."""
    rows = re.findall(r"^\| (`[A-Z].*) (/control\S*)` \|", DOCUMENT, re.MULTILINE)
    documented = {
        (method, path)
        for methods, path in rows
        for method in re.findall("[A-Z]+", methods)
    }
    routes = Control(Switchboard(), store=SettingsStore.of(Settings())).routes()

    assert documented == {(route.methods[0], route.path) for route in routes}
