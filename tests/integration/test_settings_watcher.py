"""Changes of real files, written in any usual way, reach the settings by themselves."""

import asyncio
import contextlib
import errno
import shutil
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import pytest
import structlog
from watchfiles._rust_notify import RustNotify

from service.config import SettingsStore, Sources
from service.config.watcher import SettingsWatcher
from service.watching import watch_folders
from tests.support.settings_files import KubernetesMount, only, replaced

LIMIT = 60.0
"""Seconds until a change that is not seen fails the test."""

NEVER = 3600.0
"""Seconds between looks, so that only the kernel can have told."""


class Watched:
    """A store that is watched, and what its reloads came to."""

    def __init__(self, sources: Sources) -> None:
        self.results: list[str] = []
        self.store = SettingsStore(sources, metrics=self)
        self._changed = threading.Condition()

    def reloaded(self, result: str) -> None:
        with self._changed:
            self.results.append(result)
            self._changed.notify_all()

    async def until(self, result: str) -> None:
        """Wait for the next reload with *result*; earlier ones are forgotten."""

        def wait() -> bool:
            with self._changed:
                found = self._changed.wait_for(lambda: result in self.results, LIMIT)
                self.results.clear()
                return found

        assert await asyncio.to_thread(wait), f"no reload {result}"

    async def until_ttl(self, ttl: float) -> None:
        """
        Wait until *ttl* is in force.

        A file that is written in place is empty at first; when its writer is held up
        then, the defaults come in between.
        """
        while self.store.current.probes.cache_ttl != ttl:
            await self.until("changed")


@contextlib.asynccontextmanager
async def watched(
    sources: Sources, *, interval: float = NEVER
) -> AsyncIterator[Watched]:
    result = Watched(sources)
    watcher = SettingsWatcher(result.store, quiet_period=0.02, interval=interval)
    await watcher.start()
    try:
        yield result
    finally:
        await watcher.stop()


def text(ttl: float) -> str:
    return f"probes: {{cache_ttl: {ttl}}}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "etc" / "config.yaml"
    path.parent.mkdir()
    path.write_text(text(1))
    return path


async def test_swap_of_a_mounted_configmap_takes_effect(tmp_path):
    """Each rename of `..data` is seen, with a key added, too."""
    mount = KubernetesMount(tmp_path / "etc", config_yaml=text(1))
    async with watched(only(config=tmp_path / "etc" / "config.yaml")) as service:
        for ttl in (2, 3):
            mount.swap(config_yaml=text(ttl), another="x")
            await service.until_ttl(ttl)


async def test_swap_of_a_mounted_secret_takes_effect(tmp_path):
    """The secrets folder is watched as the settings file is, keys that come too."""
    mount = KubernetesMount(tmp_path / "secrets")
    async with watched(only(secrets=tmp_path / "secrets")) as service:
        for ttl in (2, 3):
            mount.swap(probes__cache_ttl=str(ttl))
            await service.until_ttl(ttl)


async def test_edit_in_place_takes_effect(file):
    """Writing to the file itself is seen."""
    async with watched(only(config=file)) as service:
        file.write_text(text(2))
        await service.until_ttl(2)


async def test_rename_over_the_file_takes_effect(file):
    """An editor that writes a new file and renames it is seen, again and again."""
    async with watched(only(config=file)) as service:
        for ttl in (2, 3):
            new = file.with_suffix(".swp")
            new.write_text(text(ttl))
            new.rename(file)
            await service.until_ttl(ttl)


async def test_file_deleted_and_made_anew_takes_effect(file):
    """A file that goes keeps the settings; the one that comes changes them."""
    async with watched(only(config=file)) as service:
        file.unlink()
        await service.until("failed")
        kept = service.store.current.probes.cache_ttl
        file.write_text(text(2))
        await service.until_ttl(2)

        assert kept == 1


async def test_folder_that_vanishes_and_returns_is_watched_again(file):
    """Neither a deleted nor a moved folder ends the watch."""
    async with watched(only(config=file)) as service:
        for ttl, lose in ((2, shutil.rmtree), (3, lambda f: f.rename(f"{f}.old"))):
            lose(file.parent)
            await service.until("failed")
            file.parent.mkdir()
            file.write_text(text(ttl))
            await service.until_ttl(ttl)


async def test_folder_replaced_at_once_is_watched_again(file):
    """A folder made anew before anyone looks, with the same inode, is not the old."""
    async with watched(only(config=file)) as service:
        for ttl in range(2, 22):
            shutil.rmtree(file.parent)
            file.parent.mkdir()
            file.write_text(text(ttl))
            await service.until_ttl(ttl)


async def test_folder_that_comes_after_the_start_is_watched(tmp_path):
    """The default place may be made later, with the folders above it."""
    path = tmp_path / "a" / "b" / "config.yaml"
    async with watched(only(default_config=path)) as service:
        path.parent.mkdir(parents=True)
        path.write_text(text(2))
        await service.until_ttl(2)
        path.write_text(text(3))
        await service.until_ttl(3)


async def test_broken_file_and_its_repair_are_seen(file):
    """A broken file keeps the settings; repaired it takes effect."""
    async with watched(only(config=file)) as service:
        replaced(file, "probes: [")
        await service.until("failed")
        kept = service.store.current.probes.cache_ttl
        file.write_text(text(2))
        await service.until_ttl(2)

        assert kept == 1


async def test_change_before_the_watch_is_not_lost(file):
    """What changed between reading the settings and watching them takes effect."""
    service = Watched(only(config=file))
    file.write_text(text(2))
    watcher = SettingsWatcher(service.store, interval=NEVER)
    await watcher.start()
    await service.until("changed")
    await watcher.stop()

    assert service.store.current.probes.cache_ttl == 2


async def test_file_that_is_touched_is_not_reloaded(file):
    """Events without other content reload nothing."""
    async with watched(only(config=file)) as service:
        for _ in range(5):
            replaced(file, text(1))
            file.with_name("other").write_text("x")
        replaced(file, text(2))
        await service.until("changed")

    assert service.results == []


async def test_target_of_a_link_elsewhere_is_found_by_looking(tmp_path):
    """What the kernel does not tell takes effect after the interval."""
    target = tmp_path / "elsewhere" / "real.yaml"
    target.parent.mkdir()
    target.write_text(text(1))
    link = tmp_path / "etc" / "config.yaml"
    link.parent.mkdir()
    link.symlink_to(target)
    async with watched(only(config=link), interval=0.05) as service:
        target.write_text(text(2))
        await service.until_ttl(2)


async def test_without_the_kernels_help_changes_are_found_by_looking(file):
    """Where no watch is to be had (too many are in use) the log says so, once."""

    def refuse(folders: list[str]) -> NoReturn:
        raise OSError(errno.EMFILE, "Too many open files")

    service = Watched(only(config=file))
    watcher = SettingsWatcher(service.store, interval=0.05, watch=refuse)
    with structlog.testing.capture_logs() as log:
        await watcher.start()
        file.write_text(text(2))
        await service.until("changed")
        await watcher.stop()

    failures = [line for line in log if line["event"] == "settings_watch_failed"]
    assert len(failures) == 1
    assert "Too many open files" in failures[0]["reason"]


async def test_folder_that_goes_as_it_is_watched_is_looked_for_again(file):
    """A folder lost between finding and watching it does not end the watch."""
    opened: list[list[str]] = []

    def open_watch(folders: list[str]) -> RustNotify:
        opened.append(folders)
        if len(opened) == 1:
            raise FileNotFoundError(folders[0])
        return watch_folders(folders)

    service = Watched(only(config=file))
    watcher = SettingsWatcher(service.store, interval=NEVER, watch=open_watch)
    await watcher.start()
    file.write_text(text(2))
    await service.until("changed")
    await watcher.stop()

    assert len(opened) == 2


async def test_watch_that_fails_later_leaves_looking(file):
    """A watch that breaks while it waits does not end the thread."""

    class Broken:
        def watch(self, *_: object) -> NoReturn:
            raise RuntimeError("no more")

        def close(self) -> None:
            """Nothing is open."""

    service = Watched(only(config=file))
    watcher = SettingsWatcher(
        service.store, interval=0.05, watch=lambda folders: Broken()
    )
    await watcher.start()
    file.write_text(text(2))
    await service.until("changed")
    await watcher.stop()


async def test_failure_of_a_look_does_not_end_the_watch(file):
    """What nobody thought of is logged, and the next change is seen."""
    service = Watched(only(config=file))
    refresh, failures = service.store.refresh, [RuntimeError("unforeseen")]

    def fail_once(**options: float) -> bool:
        if failures:
            raise failures.pop()
        return refresh(**options)

    service.store.refresh = fail_once
    watcher = SettingsWatcher(service.store, quiet_period=0.02, interval=NEVER)
    with structlog.testing.capture_logs() as log:
        await watcher.start()
        file.write_text(text(2))
        await service.until("changed")
        await watcher.stop()

    assert log[0]["event"] == "settings_watch_error"


async def test_stopped_watcher_reloads_no_more_and_starts_again(file):
    """After `stop` a change stays unseen until the next `start`."""
    service = Watched(only(config=file))
    watcher = SettingsWatcher(service.store, quiet_period=0.02, interval=NEVER)
    await watcher.start()
    await watcher.stop()
    await watcher.stop()
    threads = [t for t in threading.enumerate() if t.name == "settings-watcher"]
    file.write_text(text(2))
    before = service.store.current.probes.cache_ttl
    await watcher.start()
    await service.until("changed")
    await watcher.stop()

    assert threads == []
    assert before == 1


async def test_relative_path_is_watched(file, monkeypatch):
    """A file named from the working folder is found."""
    monkeypatch.chdir(file.parent)
    async with watched(only(config=Path("config.yaml"))) as service:
        file.write_text(text(2))
        await service.until("changed")


async def test_store_without_files_has_a_watcher_too():
    """Fixed settings have nothing to watch, and starting that is no error."""
    watcher = SettingsStore(only()).watcher
    await watcher.start()
    await watcher.stop()
