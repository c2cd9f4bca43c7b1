"""The SBOM lists every package of the image with version, licence and hash."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from service import __version__
from tests.support.chart import ROOT
from tools.sbom import debian_packages, merge

SUPPLY = ROOT / ".supply-venv" / "bin"

STATUS = """Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2:2.41-12+deb13u1~x
Description: a library
 of many lines

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

"""


def package(name: str, version: str, **more):
    return {"name": name, "version": version, "bom-ref": f"{name}=={version}", **more}


def installed(*packages):
    metadata = {"component": {"name": "httpserver", "bom-ref": "root-component"}}
    return {"metadata": metadata, "components": list(packages)}


def test_hashes_of_the_lock_join_what_is_installed():
    """Names match however they are spelt; what is not installed is not listed."""
    pinned = [{"type": "distribution", "hashes": ["h"]}]
    lock = {
        "components": [
            package("typing-extensions", "4", externalReferences=pinned),
            package("other-platform", "1", externalReferences=pinned),
        ]
    }
    found = package("Typing_Extensions", "4", licenses=["PSF-2.0"])
    base = [package("z", "1", purl="pkg:b"), package("y", "1", purl="pkg:a")]
    bom = merge(installed(found), lock, base)

    assert bom["components"] == [found | {"externalReferences": pinned}, *base[::-1]]
    assert bom["metadata"]["component"]["version"] == __version__


def test_package_that_is_not_locked_is_refused():
    """What came without a hash has no place in the image."""
    with pytest.raises(KeyError):
        merge(installed(package("stray", "1")), {"components": []}, [])


def test_installed_packages_of_the_base_are_listed():
    """Version and architecture stand in the package URL, percent-encoded."""
    (found,) = debian_packages(STATUS)

    assert (found["name"], found["version"]) == ("libc6", "2:2.41-12+deb13u1~x")
    assert found["purl"] == ("pkg:deb/debian/libc6@2%3A2.41-12%2Bdeb13u1~x?arch=amd64")


@pytest.mark.soak
@pytest.mark.skipif(not SUPPLY.exists(), reason="`make sbom` was not run here")
def test_sbom_is_valid_whole_and_the_same_each_time(tmp_path: Path):
    """Held against CycloneDX's schema by the tool; every locked package is in it."""
    (tmp_path / "status").write_text(STATUS)
    written = []
    for name in ("one", "two"):
        output = tmp_path / name
        command = [
            *(SUPPLY / "python", "-m", "tools.sbom", "--output", output),
            *("--python", ROOT / "build/sbom/bin/python"),
            *("--dpkg-status", tmp_path / "status"),
        ]
        subprocess.run(
            command, check=True, cwd=ROOT, env={"PATH": f"{SUPPLY}:/usr/bin:/bin"}
        )
        written.append(output.read_text())
    bom = json.loads(written[0])
    lock = (ROOT / "requirements/runtime.txt").read_text()
    locked = set(re.findall(r"(?m)^([\w.-]+)==(?:[^;]*?)(?: \\)?$", lock))
    names = {each["name"].lower().replace("_", "-") for each in bom["components"]}

    assert written[0] == written[1]
    assert not {"timestamp", "serialNumber"} & (bom.keys() | bom["metadata"].keys())
    assert names >= locked | {"libc6", "cpython"}
    for each in bom["components"]:
        if each["purl"].startswith("pkg:pypi/"):
            assert each["licenses"]
            assert any("hashes" in one for one in each["externalReferences"])
