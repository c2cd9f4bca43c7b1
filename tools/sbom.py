"""
List what is in the image: an SBOM in CycloneDX JSON.

    python -m tools.sbom --python build/sbom/bin/python --output build/sbom.cdx.json

The Python packages come from an environment that was installed from the lock as the
image's is, with licences and what needs what; their hashes from the lock itself. The
base system's packages come from dpkg's list, where one is given: `/var/lib/dpkg/status`
of the image. The same input gives the same bytes: no time, no serial number.

Source: https://cyclonedx.org/docs/1.6/json/
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

from service import __version__

__all__ = ["debian_packages", "main", "merge"]

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "runtime.txt"

Component = dict[str, Any]


def merge(
    installed: dict[str, Any], locked: dict[str, Any], others: list[Component]
) -> dict[str, Any]:
    """
    Return one SBOM of three.

    Args:
        installed: SBOM of the environment; its packages are the ones listed.
        locked: SBOM of the lock, which has the hashes.
        others: Components that are no Python packages.

    Raises:
        KeyError: A package is installed that the lock does not name.
    """
    hashes = {_key(each): each["externalReferences"] for each in locked["components"]}
    packages = [
        each | {"externalReferences": each.get("externalReferences", []) + hashes[key]}
        for key, each in ((_key(each), each) for each in installed["components"])
    ]
    metadata = installed["metadata"]
    program = metadata["component"] | {"version": __version__}
    return installed | {
        "metadata": metadata | {"component": program},
        "components": packages + sorted(others, key=lambda each: str(each["purl"])),
    }


def _key(component: Component) -> tuple[str, str]:
    """Return name and version; names are spelt in more than one way (PEP 503)."""
    name = re.sub(r"[-_.]+", "-", component["name"]).lower()
    return name, component["version"]


def _component(kind: str, name: str, version: str, purl: str) -> Component:
    return {
        "bom-ref": purl,
        "type": kind,
        "name": name,
        "version": version,
        "purl": purl,
    }


def debian_packages(status: str) -> Iterator[Component]:
    """Yield a component for each installed package of dpkg's *status* list."""
    parser = HeaderParser()
    for stanza in status.split("\n\n"):
        package = parser.parsestr(stanza.strip("\n"))
        if package.get("Status", "").endswith(" installed"):
            name, version = package["Package"], package["Version"]
            yield _component(
                "library",
                name,
                version,
                f"pkg:deb/debian/{name}@{quote(version, safe='~')}"
                f"?arch={package['Architecture']}",
            )


def main(arguments: list[str] | None = None) -> int:
    """Write the SBOM, once it is valid; the result is the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().split("\n")[0])
    parser.add_argument(
        "--python", required=True, help="interpreter of the environment"
    )
    parser.add_argument("--dpkg-status", type=Path, help="dpkg's list, of the image")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args(arguments)
    version = _run(
        given.python, "-c", "import platform as p; print(p.python_version())"
    )
    others = [_interpreter(version.strip())]
    if given.dpkg_status is not None:
        others += debian_packages(given.dpkg_status.read_text())
    bom = merge(
        _cyclonedx(
            "environment", f"--pyproject={ROOT / 'pyproject.toml'}", given.python
        ),
        _cyclonedx("requirements", str(LOCK)),
        others,
    )
    text = json.dumps(bom, indent=1, sort_keys=True) + "\n"
    _check(text)
    given.output.write_text(text)
    sys.stderr.write(f"sbom: {len(bom['components'])} components: {given.output}\n")
    return 0


def _interpreter(version: str) -> Component:
    """Return the interpreter, which the base image builds from source."""
    found = _component("platform", "cpython", version, f"pkg:generic/cpython@{version}")
    cpe = f"cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*"
    return found | {"cpe": cpe}


def _cyclonedx(*arguments: str) -> dict[str, Any]:
    """Return the SBOM that the cyclonedx-py on PATH makes."""
    found: dict[str, Any] = json.loads(
        _run("cyclonedx-py", arguments[0], "--output-reproducible", *arguments[1:])
    )
    return found


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603 - programs and paths that the Makefile gives, no shell


def _check(text: str) -> None:
    """
    Hold the SBOM against the schema.

    Raises:
        SystemExit: It is not valid.
    """
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if error is not None:
        sys.exit(f"sbom: not valid: {error}")


if __name__ == "__main__":
    sys.exit(main())
