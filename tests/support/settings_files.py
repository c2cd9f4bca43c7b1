"""Settings files as tests and Kubernetes write them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.config import Flag, Sources
from service.config.layers import Layer

__all__ = ["KubernetesMount", "only", "replaced", "told"]


def only(
    *,
    config: Path | None = None,
    secrets: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    **defaults: Path,
) -> Sources:
    """Return sources that see nothing of the machine the test runs on."""
    return Sources(
        config=config,
        secrets=secrets,
        environ=environ or {},
        flags=tuple(
            Flag(option="--set", key=key, value=value)
            for key, value in (flags or {}).items()
        ),
        default_config=defaults.get("default_config"),
        default_secrets=defaults.get("default_secrets"),
    )


class KubernetesMount:
    """
    A folder as the kubelet mounts a ConfigMap or Secret.

    The files lie in a folder with a time in its name, `..data` links to that folder,
    each file name to its file under `..data`; a change is a new folder and a rename of
    the link (kubernetes/pkg/volume/util/atomic_writer.go).
    """

    def __init__(self, folder: Path, **files: str) -> None:
        self.folder = folder
        self._count = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.swap(**files)

    def swap(self, **files: str) -> None:
        """Let the folder hold *files*; `config_yaml` is the name `config.yaml`."""
        contents = {name.replace("_yaml", ".yaml"): files[name] for name in files}
        self._count += 1
        current = self.folder / f"..2026_11_21_04_00_00.{self._count}"
        current.mkdir()
        for name, content in contents.items():
            (current / name).write_text(content)
        link, new = self.folder / "..data", self.folder / "..data_tmp"
        before = link.readlink() if link.is_symlink() else None
        new.symlink_to(current.name)
        new.rename(link)
        self._link_names(set(contents))
        if before is not None:
            self._remove(self.folder / before)

    def _link_names(self, names: set[str]) -> None:
        there = {path.name for path in self.folder.iterdir() if path.name[:2] != ".."}
        for name in names - there:
            (self.folder / name).symlink_to(Path("..data") / name)
        for name in there - names:
            (self.folder / name).unlink()

    @staticmethod
    def _remove(folder: Path) -> None:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


def replaced(file: Path, text: str) -> None:
    """Let *file* hold *text*, at once: nobody reads a part of it, or nothing."""
    new = file.with_name(f"{file.name}.new")
    new.write_text(text)
    new.rename(file)


def told(layer: Layer) -> list[str]:
    """Return what is wrong in *layer*, as users read it."""
    return [str(problem) for problem in layer.problems]
