"""
Where settings come from, and one reading of it all.

Reading is apart from understanding: a `Snapshot` is exactly what was on disk, so that
its fingerprint tells whether a reload would find anything new.
"""

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from service.config.environment import CONFIG_VARIABLE, SECRETS_VARIABLE
from service.config.layers import Flag
from service.config.problems import Problem
from service.settings import Settings

__all__ = ["Snapshot", "Sources"]

_LARGEST = 1_048_576
"""Bytes of a settings file or secret; a ConfigMap or Secret holds no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """
    What the sources on disk held at one moment.

    Attributes:
        config: The settings file, or None when there is none.
        secrets: Content of the secrets folder by file name, or None when there is none.
        problems: What could not be read.
    """

    config: bytes | None = field(repr=False)
    secrets: dict[str, bytes] | None = field(repr=False)
    problems: tuple[Problem, ...]

    @property
    def fingerprint(self) -> str:
        """A text that is the same when nothing changed."""
        parts = (self.config, self.secrets, self.problems)
        return hashlib.sha256(repr(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """
    Where to look for settings; nothing is read until `read`.

    Attributes:
        config: Settings file named by `--config`.
        secrets: Folder named by `--secrets-dir`.
        flags: Settings given on the command line.
        base: What holds where no source gives anything: the defaults.
        environ: The environment, which may name the file and the folder too.
        default_config: Settings file that is read if it is there; None is none.
        default_secrets: Secrets folder that is read if it is there; None is none.
    """

    config: Path | None = None
    secrets: Path | None = None
    flags: tuple[Flag, ...] = ()
    base: Settings = field(default_factory=Settings, repr=False)
    environ: Mapping[str, str] = field(
        default_factory=lambda: dict(os.environ), repr=False
    )
    default_config: Path | None = Path("/etc/httpserver/config.yaml")
    default_secrets: Path | None = Path("/etc/httpserver/secrets")

    @property
    def config_path(self) -> Path | None:
        """The settings file that is read, there or not."""
        return self._named_config or self.default_config

    @property
    def secrets_path(self) -> Path | None:
        """The secrets folder that is read, there or not."""
        return self._named_secrets or self.default_secrets

    @property
    def _named_config(self) -> Path | None:
        named = self.environ.get(CONFIG_VARIABLE)
        return self.config or (Path(named) if named else None)

    @property
    def _named_secrets(self) -> Path | None:
        named = self.environ.get(SECRETS_VARIABLE)
        return self.secrets or (Path(named) if named else None)

    def read(self) -> Snapshot:
        """
        Return what is on disk now.

        A named file or folder that is missing is a problem, a missing default is not.
        """
        problems: list[Problem] = []
        config, secrets = None, None
        path, folder = self.config_path, self.secrets_path
        if path is not None and (self._named_config or path.exists()):
            config = _read_file(path, place=str(path), problems=problems)
        if folder is not None and (self._named_secrets or folder.exists()):
            secrets = _read_folder(folder, problems=problems)
        return Snapshot(config=config, secrets=secrets, problems=tuple(problems))

    def exposed(self) -> list[str]:
        """Return the secrets that every user of the machine may read, by file name."""
        folder = self.secrets_path
        if folder is None or not folder.is_dir():
            return []
        return sorted(each.name for each in folder.iterdir() if _is_exposed(each))

    def settled(self, snapshot: Snapshot) -> Self:
        """
        Return these sources with the defaults named that *snapshot* found.

        A default that was read once and then goes is missing: that must not turn its
        settings back to their defaults while the service runs.
        """
        return replace(
            self,
            config=self.config if snapshot.config is None else self.config_path,
            secrets=self.secrets if snapshot.secrets is None else self.secrets_path,
        )


def _is_exposed(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:  # it was replaced a moment ago
        return False
    return stat.S_ISREG(mode) and bool(mode & stat.S_IROTH)


def _read_folder(folder: Path, *, problems: list[Problem]) -> dict[str, bytes]:
    """
    Return the files of a folder as a mounted Secret has them.

    Names that begin with `..` are Kubernetes' own: the data's folders and the link to
    the current one.
    """
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        problems.append(Problem(place=str(folder), reason=_reason(error)))
        return {}
    files = {}
    for name in names:
        if not name.startswith(".."):
            content = _read_file(
                folder / name, place=f"secrets:{name}", problems=problems
            )
            if content is not None:
                files[name] = content
    return files


def _read_file(path: Path, *, place: str, problems: list[Problem]) -> bytes | None:
    """Return what the file holds, or None when a problem was noted instead."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            problems.append(Problem(place=place, reason="is not a file"))
            return None
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        problems.append(Problem(place=place, reason=_reason(error)))
        return None
    if len(content) > _LARGEST:
        problems.append(Problem(place=place, reason="is larger than 1 MiB"))
        return None
    return content


def _reason(error: OSError | ValueError) -> str:
    told = error.strerror if isinstance(error, OSError) else str(error)
    return f"can't be read: {told or type(error).__name__}"
