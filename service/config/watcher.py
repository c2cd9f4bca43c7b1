"""
Watching the settings file and the secrets folder: a change takes effect by itself.

A reload follows only when the content differs; how folders are watched is the business
of `service.watching`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from service.config.store import SettingsStore
from service.watching import FolderWatcher

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

__all__ = ["SettingsWatcher"]


class SettingsWatcher(FolderWatcher):
    """
    A part that reloads the settings when their files change.

    Args:
        store: The settings.
        quiet_period: Seconds without a change that end a burst of them.
        interval: Seconds between looks that nothing caused.
        watch: Opens a watch on folders; the kernel's by default.

    Concurrency:
        It runs on a thread of its own, where the store's subscribers are called too.
    """

    def __init__(
        self,
        store: SettingsStore,
        *,
        quiet_period: float = 0.1,
        interval: float = 5.0,
        watch: Callable[[list[str]], "RustNotify"] | None = None,
    ) -> None:
        def folders() -> Iterator[Path]:
            config, secrets = store.sources.config_path, store.sources.secrets_path
            if config is not None:
                yield config.absolute().parent
            if secrets is not None:
                yield secrets

        super().__init__(
            "settings",
            folders=folders,
            look=lambda: store.refresh(settle=quiet_period),
            logger="httpserver.config",
            quiet_period=quiet_period,
            interval=interval,
            watch=watch,
        )
