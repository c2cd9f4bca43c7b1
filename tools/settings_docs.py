"""
Keep the settings' documentation in step with `service/settings/`.

    python -m tools.settings_docs            # rewrites the two files
    python -m tools.settings_docs --check    # exit 1 when one of them is old

It writes `docs/examples/config.yaml`, and `docs/settings.md` from the marker on.
"""

import sys
from pathlib import Path

from service.config.reference import example, markdown
from tools.written import keep

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
    description = (__doc__ or "").strip().split("\n")[0]
    return keep(render(), description=description, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
