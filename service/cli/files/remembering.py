"""
Where an upload goes on that an earlier command began: a small file for each, below
`$XDG_STATE_HOME/httpserver/uploads` (`~/.local/state` without).

Where it can't be written, uploads go on within their command alone.
"""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

__all__ = ["Remembered"]


class Remembered:
    """
    The upload that was begun for the same content, at the same place.

    Args:
        told: What makes it the same.
    """

    def __init__(self, *told: object) -> None:
        name = hashlib.sha256(json.dumps([str(each) for each in told]).encode())
        self._file = _directory() / f"{name.hexdigest()}.json"

    def get(self) -> str:
        """Return the URL path of the upload; empty when there is none."""
        try:
            return str(json.loads(self._file.read_text())["upload"])
        except (OSError, ValueError, LookupError, TypeError):
            return ""

    def put(self, upload: str) -> None:
        """Note the URL path of the upload."""
        with suppress(OSError):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = self._file.with_suffix(f".{os.getpid()}")
            new.write_text(json.dumps({"upload": upload}))
            new.chmod(0o600)
            new.replace(self._file)

    def forget(self) -> None:
        """Forget it."""
        with suppress(OSError):
            self._file.unlink()


def _directory() -> Path:
    home = os.environ.get("XDG_STATE_HOME", "")
    with suppress(RuntimeError):  # a user without a home, as in some containers
        home = home or str(Path("~/.local/state").expanduser())
    return Path(home or os.devnull) / "httpserver" / "uploads"
