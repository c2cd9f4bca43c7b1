"""Each feature is a folder that can be deleted, with its name in the list, for good."""

import shutil
import subprocess
import sys

import pytest

from service.app import FEATURES
from tests.support.chart import ROOT

ASK = """
import asyncio, httpx2
from service.app import create_app

async def main():
    transport = httpx2.ASGITransport(app=create_app())
    async with httpx2.AsyncClient(transport=transport, base_url="http://t") as http:
        for path in ("/livez", "/hello", "/products", "/docs", "/openapi.json"):
            print(path, (await http.get(path)).status_code)

asyncio.run(main())
"""

PATHS = {
    "service.catalogue": "/products",
    "service.demo": "/hello",
    "service.web": "/docs",
}
"""What a feature serves on the public port by default; others are off, or not there."""


@pytest.mark.parametrize("feature", FEATURES)
def test_service_works_without_the_folder(feature, tmp_path):
    """What the feature served is gone, everything else still answers."""
    shutil.copytree(ROOT / "service", tmp_path / "service")
    shutil.rmtree(tmp_path / feature.replace(".", "/"))
    root = tmp_path / "service/app.py"
    line = f'    "{feature}",\n'
    text = root.read_text()
    assert text.count(line) == 1
    root.write_text(text.replace(line, ""))

    done = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    answers = dict(line.split() for line in done.stdout.splitlines() if " " in line)
    expected = dict.fromkeys(
        ("/livez", "/hello", "/products", "/docs", "/openapi.json"), "200"
    )
    gone = {PATHS[feature]: "404"} if feature in PATHS else {}
    assert answers == expected | gone
