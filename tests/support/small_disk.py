"""A disk that can be filled, and gets room again."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["grow", "small_disk"]


@contextmanager
def small_disk(folder: Path, *, size: str = "2m") -> Iterator[None]:
    """Mount a disk of *size* on *folder*, or skip."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if (
        not shutil.which("mount")
        or subprocess.run(command, capture_output=True).returncode
    ):
        pytest.skip("nothing may be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def grow(folder: Path, *, size: str = "16m") -> None:
    """Give the small disk room."""
    command = ["mount", "-o", f"remount,size={size}", str(folder)]
    subprocess.run(command, check=True)
