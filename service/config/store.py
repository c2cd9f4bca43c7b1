"""
The settings in force, and what happens when their sources change.

A reload takes all sources anew. Live settings take effect at once; the others keep
their value and are named in the log. Sources that can't be used change nothing.
"""

import functools
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self

from pydantic import ValidationError

from service.config.leaves import leaves
from service.config.loading import Loaded, build, disagreements, load, value_at
from service.config.sources import Snapshot, Sources
from service.errors import SettingsError
from service.observability.logging import get_logger
from service.settings import Settings

if TYPE_CHECKING:
    from service.config.watcher import SettingsWatcher

__all__ = ["NoReloadMetrics", "ReloadMetrics", "SettingsStore", "Subscriber"]

Subscriber = Callable[[Settings, Settings], None]
"""What is called with the settings before and after a change."""


_SETTLE_LOOKS = 20
"""Looks after which a file that never stays the same is taken as it is."""


class ReloadMetrics(Protocol):
    """What counts reloads."""

    def reloaded(self, result: str) -> None:
        """
        Count one reload.

        Args:
            result: `changed`, `unchanged` or `failed`.
        """


class NoReloadMetrics:
    """Reloads are not counted."""

    def reloaded(self, result: str) -> None:
        """Count nothing."""


class SettingsStore:
    """
    The settings in force.

    Args:
        sources: Where they come from.
        metrics: What counts reloads; `report_to` sets it later.

    Raises:
        SettingsError: With one line for everything that is wrong.

    Concurrency:
        `current` and `origins` may be read by any thread without a lock; the trees are
        immutable. Reloads happen one at a time, on the thread that asks for one.
    """

    def __init__(
        self, sources: Sources, *, metrics: ReloadMetrics | None = None
    ) -> None:
        snapshot = sources.read()
        self._loaded = load(sources, snapshot=snapshot)
        # an attribute, not a property: it is read several times at every request
        self.current: Settings = self._loaded.settings
        self._sources = sources.settled(snapshot)
        self._fingerprint = snapshot.fingerprint
        self._waiting: dict[str, Any] = {}
        self._problems: tuple[str, ...] = ()
        self._metrics = metrics or NoReloadMetrics()
        self._subscribers: tuple[Subscriber, ...] = ()
        self._lock = threading.RLock()
        self._log = get_logger("httpserver.config")

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return a store of *settings* that come from nowhere and never change."""
        nowhere = Sources(
            base=settings, environ={}, default_config=None, default_secrets=None
        )
        return cls(nowhere)

    @property
    def origins(self) -> Mapping[str, str]:
        """Where each setting in force came from, by dotted key."""
        return self._loaded.origins

    @property
    def sources(self) -> Sources:
        """Where the settings come from; what was found at the start is named."""
        return self._sources

    @property
    def need_restart(self) -> tuple[str, ...]:
        """Keys whose value in the sources is not in force until a restart."""
        return tuple(self._waiting)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the last reload changed nothing: a line each; empty when it was good."""
        return self._problems

    @functools.cached_property
    def watcher(self) -> "SettingsWatcher":
        """The part that reloads when the files change."""
        from service.config.watcher import SettingsWatcher

        return SettingsWatcher(self)

    def report_to(self, metrics: ReloadMetrics) -> None:
        """Count reloads there from now on."""
        self._metrics = metrics

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """
        Call *callback* with the old and the new settings after each change.

        Args:
            callback: Called on the thread that reloads, which may be any; what it
                raises is logged and stops nobody else.

        Returns:
            What ends the subscription.
        """
        with self._lock:
            self._subscribers = (*self._subscribers, callback)

        def unsubscribe() -> None:
            with self._lock:
                kept = [each for each in self._subscribers if each is not callback]
                self._subscribers = tuple(kept)

        return unsubscribe

    def reload(self) -> bool:
        """
        Load all sources anew.

        Returns:
            Whether any setting in force changed.
        """
        with self._lock:
            return self._reload(self._sources.read())

    def refresh(self, *, settle: float = 0.0) -> bool:
        """
        Load all sources anew unless the disk holds what it held the last time.

        Args:
            settle: Seconds that what is found must stay the same: a file that is being
                written is empty at first, which would mean the defaults.

        Returns:
            Whether any setting in force changed.
        """
        seen = self._sources.read()
        for _ in range(_SETTLE_LOOKS if settle else 0):
            if seen.fingerprint == self._fingerprint:
                return False
            time.sleep(settle)
            with self._lock:
                before, seen = seen, self._sources.read()
                if before.fingerprint == seen.fingerprint:
                    return self._renew(seen)
        with self._lock:
            return self._renew(self._sources.read())

    def _renew(self, snapshot: Snapshot) -> bool:
        """Reload unless it is known; read under the lock, nothing newer is in force."""
        return snapshot.fingerprint != self._fingerprint and self._reload(snapshot)

    def _reload(self, snapshot: Snapshot) -> bool:
        self._fingerprint = snapshot.fingerprint
        old = self._loaded
        try:
            found = load(self._sources, snapshot=snapshot)
            new = _in_force(old, found)
        except SettingsError as error:
            self._problems = tuple(error.problems)
            self._metrics.reloaded("failed")  # who reads the line finds it counted
            self._log.error("settings_reload_failed", problems=error.problems)
            return False
        self._loaded, self._problems = new, ()
        self.current = new.settings
        self._tell_waiting(found.settings)
        changed = _differing(old.settings, new.settings)
        self._metrics.reloaded("changed" if changed else "unchanged")
        if not changed:
            self._log.info("settings_unchanged")
            return False
        self._log.info(
            "settings_reloaded", changed=changed, values=_shown(new.settings, changed)
        )
        self._notify(old.settings, new.settings)
        return True

    def _tell_waiting(self, found: Settings) -> None:
        """Name the settings that need a restart, once for each value they are given."""
        keys = _differing(self.current, found)
        waiting = {key: value_at(found, key) for key in keys}
        if waiting and waiting != self._waiting:
            self._log.warning("settings_need_restart", settings=keys)
        self._waiting = waiting

    def _notify(self, old: Settings, new: Settings) -> None:
        for callback in self._subscribers:
            try:
                callback(old, new)
            except Exception:  # noqa: BLE001 - a subscriber must not stop the others
                name = getattr(callback, "__qualname__", repr(callback))
                self._log.exception("settings_subscriber_failed", subscriber=name)


def _in_force(old: Loaded, found: Loaded) -> Loaded:
    """
    Return what takes effect of *found* while the process runs on from *old*.

    Raises:
        SettingsError: The live part of it does not agree with what needs a restart.
    """
    changed = _differing(old.settings, found.settings)
    kept = {key for key in changed if not leaves()[key].live}
    if not kept:
        return (
            found if changed else Loaded(settings=old.settings, origins=found.origins)
        )
    values = {
        key: value_at(old.settings if key in kept else found.settings, key)
        for key in leaves()
    }
    origins = {key: (old if key in kept else found).origins[key] for key in leaves()}
    try:
        return Loaded(settings=build(values), origins=origins)
    except ValidationError as error:
        problems = disagreements(error, values=values, origins=origins)
        raise SettingsError(
            [f"{problem} until a restart" for problem in problems]
        ) from None


def _differing(old: Settings, new: Settings) -> list[str]:
    return [key for key in leaves() if value_at(old, key) != value_at(new, key)]


def _shown(settings: Settings, keys: list[str]) -> dict[str, Any]:
    """Return the values of those settings that are no secrets."""
    return {key: value_at(settings, key) for key in keys if not leaves()[key].secret}
