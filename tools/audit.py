"""
Ask whether the locked dependencies have known vulnerabilities.

    python -m tools.audit [options of pip-audit]

pip-audit alone calls it a success when its service knows none of the packages, as a
mirror without that service does. Here only an answer about every package is one:

    0   asked about every package, and nothing is known
    1   a package has a known vulnerability
    75  could not ask about some package (EX_TEMPFAIL of sysexits.h)
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["main", "verdict"]

LOCK = Path(__file__).resolve().parent.parent / "requirements" / "runtime.txt"
"""What the image holds."""

_OPTIONS = (
    *("--require-hashes", "--disable-pip"),  # only what the lock says
    *("--format", "json", "--progress-spinner", "off"),
)


def verdict(report: dict[str, Any]) -> tuple[int, list[str]]:
    """
    Return the exit code and the lines that say why.

    Args:
        report: What `pip-audit --format json` wrote.
    """
    packages = report["dependencies"]
    found = [
        f"{each['name']} {each['version']}: {vulnerability['id']}, fixed in "
        f"{', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for each in packages
        for vulnerability in each.get("vulns", ())
    ]
    skipped = [each["name"] for each in packages if "skip_reason" in each]
    lines = list(found)
    if skipped or not packages:
        lines.append(
            f"audit: could not ask about {len(skipped)} of {len(packages)} packages: "
            f"{', '.join(skipped[:3])} …"
        )
    if found:
        return 1, lines
    if skipped or not packages:
        return os.EX_TEMPFAIL, lines
    return 0, [f"audit: nothing is known against {len(packages)} packages"]


def main(arguments: list[str] | None = None) -> int:
    """Run the pip-audit on PATH, and say what it found; the result is the exit code."""
    more = sys.argv[1:] if arguments is None else arguments
    command = ["pip-audit", "--requirement", str(LOCK), *_OPTIONS, *more]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - its own options, no shell
    try:
        code, lines = verdict(json.loads(done.stdout))
    except (ValueError, KeyError):
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        code, lines = os.EX_TEMPFAIL, [f"audit: could not ask: {reason[:300]}"]
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
