"""Files that a tool writes from the code: written, or compared with what is there."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["keep"]


def keep(
    wanted: Mapping[Path, str], *, description: str, arguments: list[str] | None = None
) -> int:
    """
    Write the files that differ; with `--check`, only name them.

    Args:
        wanted: What each file should hold.
        description: What the tool is for, for `--help`.
        arguments: Its command line; None is that of the process.

    Returns:
        The exit code: 1 when `--check` found a difference.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args(arguments).check
    old = [
        path
        for path, text in wanted.items()
        if not path.is_file() or path.read_text() != text
    ]
    for path in old:
        sys.stdout.write(f"{'old' if check else 'written'}: {path.name}\n")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path])
    return 1 if check and old else 0
