"""
Keep the settings' documentation in step with `service/settings/`.

    python -m tools.settings_docs            # rewrites the two files
    python -m tools.settings_docs --check    # exit 1 when one of them is old

It writes `docs/examples/config.yaml`, and `docs/settings.md` from the marker on.
"""

import argparse
import sys
from pathlib import Path

from service.config.reference import example, markdown

__all__ = ["DOCS", "main", "render"]

DOCS = Path(__file__).resolve().parent.parent / "docs"
"""Folder of the documentation."""

_MARKER = (
    "<!-- What follows is written by tools/settings_docs.py"
    " from service/settings/. -->\n"
)


def render(docs: Path = DOCS) -> dict[Path, str]:
    """
    Return what the two files should hold.

    Args:
        docs: Folder of the documentation; `settings.md` there keeps its first part.
    """
    page = docs / "settings.md"
    head = page.read_text().partition(_MARKER)[0]
    return {
        page: f"{head}{_MARKER}\n{markdown()}",
        docs / "examples" / "config.yaml": example(),
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or only compare them; the result is the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args(arguments).check
    old = [
        (path, text)
        for path, text in render().items()
        if not path.is_file() or path.read_text() != text
    ]
    for path, text in old:
        sys.stdout.write(f"{'old' if check else 'written'}: {path.name}\n")
        if not check:
            path.write_text(text)
    return 1 if check and old else 0


if __name__ == "__main__":
    sys.exit(main())
