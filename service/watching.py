"""
Watching folders: what changes in them is looked at by itself.

It is folders that are watched, not files: Kubernetes swaps a mounted ConfigMap or
Secret by renaming the link `..data`, and editors rename a new file over the old one. A
folder that is not there is waited for in the nearest one above it. What the kernel does
not tell (a link's target elsewhere, a network file system, no inotify watches left) is
found by looking every few seconds.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from service.concurrency.future import Future
from service.observability.logging import get_logger

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

__all__ = ["FolderWatcher", "watch_folders"]

_Identity = tuple[int, int]
"""Device and inode of a folder."""

_LONGEST_BURST = 1.6
"""Seconds after which a look follows though changes go on."""


class FolderWatcher:
    """
    A part that looks again when something in its folders changes.

    Args:
        subject: What is watched, in one word, for the names of thread and log events.
        folders: Gives the folders, there or not.
        look: Called after a burst of changes, and every *interval*.
        logger: Name of the logger.
        quiet_period: Seconds without a change that end a burst of them.
        interval: Seconds between looks that nothing caused.
        watch: Opens a watch on folders; the kernel's by default.

    Concurrency:
        It runs on a thread of its own, where *folders* and *look* are called.
    """

    def __init__(
        self,
        subject: str,
        *,
        folders: Callable[[], Iterable[Path]],
        look: Callable[[], object],
        logger: str,
        quiet_period: float = 0.1,
        interval: float = 5.0,
        watch: Callable[[list[str]], "RustNotify"] | None = None,
    ) -> None:
        self.name = f"{subject} watcher"
        self._subject = subject
        self._folders = folders
        self._look = look
        self._quiet_period = quiet_period
        self._interval = interval
        self._open = watch or watch_folders
        self._stopping = threading.Event()
        self._watching = Future[None]()
        self._thread: threading.Thread | None = None
        self._log = get_logger(logger)

    async def start(self) -> None:
        """Watch; returns when a change from now on is noticed."""
        self._stopping.clear()
        self._watching = Future()
        self._thread = threading.Thread(
            target=self._run, name=f"{self._subject}-watcher", daemon=True
        )
        self._thread.start()
        await self._watching

    async def stop(self) -> None:
        """Stop watching; returns when no look is under way any more."""
        self._stopping.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            places = self._places()
            try:
                watch = self._watch(places)
            except FileNotFoundError:  # a folder went just now: look again
                continue
            if not self._watching.done:
                self._watching.set_result(None)
            self._refresh()
            while places == self._places() and self._wait(watch, places):
                self._refresh()
            if watch is not None:
                watch.close()

    def _watch(self, places: dict[Path, _Identity]) -> "RustNotify | None":
        """
        Return a watch on the folders, or None when only looking is left.

        Raises:
            FileNotFoundError: One of them is no longer there.
        """
        folders = [str(place) for place in places]
        if not folders:
            return None
        try:
            return self._open(folders)
        except FileNotFoundError:
            raise
        except (OSError, RuntimeError) as error:
            self._warn(error, folders=folders)
            return None

    def _wait(self, watch: "RustNotify | None", places: dict[Path, _Identity]) -> bool:
        """
        Wait for the end of a burst of changes, or for the next look.

        Returns:
            Whether the watch can go on: not when a folder itself was lost, even if one
            of the same name and number is there again, nor when the part stops.
        """
        if watch is None:
            return not self._stopping.wait(self._interval)
        try:
            changes = watch.watch(
                int(_LONGEST_BURST * 1000),
                int(self._quiet_period * 1000),
                int(self._interval * 1000),
                self._stopping,
            )
        except (OSError, RuntimeError) as error:
            self._warn(error)
            return not self._stopping.wait(self._interval)
        if isinstance(changes, str):
            return changes != "stop"
        return not any(Path(path) in places for _, path in changes)

    def _warn(self, error: Exception, **fields: object) -> None:
        self._log.warning(f"{self._subject}_watch_failed", reason=str(error), **fields)

    def _refresh(self) -> None:
        if self._stopping.is_set():
            return
        try:
            self._look()
        except Exception:  # noqa: BLE001 - the watch must go on
            self._log.exception(f"{self._subject}_watch_error")

    def _places(self) -> dict[Path, _Identity]:
        """Return the folders to watch, each with what tells it from a later one."""
        return dict(_nearest(folder.absolute()) for folder in self._folders())


def watch_folders(folders: list[str]) -> "RustNotify":
    """
    Return the kernel's watch on the entries of *folders*, not on those below.

    Raises:
        FileNotFoundError: One of them is not there.
        OSError: No watch is to be had.
    """
    # takes its time to import, and many a service watches nothing
    from watchfiles._rust_notify import RustNotify

    return RustNotify(
        folders,
        debug=False,
        force_polling=False,
        poll_delay_ms=0,
        recursive=False,
        ignore_permission_denied=False,
    )


def _nearest(folder: Path) -> tuple[Path, _Identity]:
    """Return the folder, or the nearest above it that is there, with its identity."""
    for place in (folder, *folder.parents):
        try:
            found = place.stat()
        except OSError:
            continue
        return place, (found.st_dev, found.st_ino)
    return folder, (0, 0)
