"""
From the parent, which has the admin port, to its workers, which take the requests.

The parent leaves the state as one JSON file in the directory that they share; a file is
renamed into its place, so that nobody reads half of one. Workers look at it several
times a second, and before they take their first request, so that the successor of a
worker that died injects the same faults at once.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from service.concurrency.cancelling import cancelled
from service.config import SettingsStore
from service.control.board import Switchboard
from service.control.levels import LOGGER
from service.control.state import ControlState
from service.observability.logging import get_logger

__all__ = ["Follower", "StateFile"]

INTERVAL = 0.2
"""Seconds between two looks: how late a worker follows, and an end takes effect."""

NAME = "control.json"

_Identity = tuple[int, int]


class StateFile:
    """
    The file in the shared directory.

    Args:
        directory: The shared directory.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / NAME
        self._seen: _Identity | None = None

    def write(self, state: ControlState) -> None:
        """Put *state* in the place of the one before."""
        new = self._path.with_suffix(".new")
        new.write_text(state.model_dump_json())
        new.replace(self._path)

    def changed(self) -> ControlState | None:
        """
        Return the state, or None when it is the one of the last call or there is none.

        Raises:
            ValueError: The file holds no state.
        """
        try:
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno())
                identity = (found.st_ino, found.st_mtime_ns)
                if identity == self._seen:
                    return None
                self._seen = identity
                return ControlState.model_validate_json(file.read())
        except FileNotFoundError:
            return None


class Follower:
    """
    A part that ends what is over, and in a worker follows the parent.

    Args:
        board: Where the state is.
        store: The settings, reloaded when the parent was asked to.
        on_reload: Called after each reload with the settings before and after.
        file: The parent's file, if there are workers.
        interval: Seconds between two looks.
    """

    name = "control"

    def __init__(
        self,
        board: Switchboard,
        *,
        store: SettingsStore,
        on_reload: Callable[..., None],
        file: StateFile | None = None,
        interval: float = INTERVAL,
    ) -> None:
        self._board = board
        self._store = store
        self._on_reload = on_reload
        self._file = file
        self._interval = interval
        self._task: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._log = get_logger(LOGGER)

    async def start(self) -> None:
        """Take over what is in force, and look again from time to time."""
        # subscribed last: what the process does with new settings comes first
        self._unsubscribe = self._store.subscribe(self._on_reload)
        self.look()
        self._task = asyncio.create_task(self._keep_looking())

    async def stop(self) -> None:
        """Look no more."""
        self._unsubscribe()
        if self._task is not None:
            await cancelled([self._task])

    def look(self) -> bool:
        """Follow the parent's file; return whether a reload was asked for."""
        before = self._board.state.reloads
        state = None if self._file is None else self._file.changed()
        if state is not None and not self._board.leads:
            self._board.follow(state)
        self._board.expire()
        return not self._board.leads and self._board.state.reloads != before

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            try:
                if self.look():
                    await asyncio.to_thread(self._store.reload)
            except (OSError, ValueError) as error:
                self._log.error("control_state_unreadable", reason=type(error).__name__)
