"""
The switchboard: where the state is, who may change it, and who is told.

Changes come from the admin port's thread, expiry and what a parent process decided from
the main loop; readers take `board.state` from wherever they are.
"""

import threading
import time
from collections.abc import Callable

from service.control.state import ControlState
from service.observability.logging import get_logger

__all__ = ["Listener", "Switchboard"]

Listener = Callable[[ControlState, ControlState], None]
"""Called with the state before and after a change."""


class Switchboard:
    """
    The state in force.

    Args:
        publish: Hands a state to other processes.
        clock: Gives the wall-clock time in seconds.

    Attributes:
        state: What is in force; swapped, never changed.
        leads: Whether changes are made here, not followed.

    Concurrency:
        Any thread. Listeners are called one at a time, on the thread of the change.
    """

    def __init__(
        self,
        *,
        publish: Callable[[ControlState], None] = lambda _state: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.state = ControlState()
        self.leads = False
        self._publish = publish
        self._clock = clock
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()
        self._log = get_logger("httpserver.control")

    def now(self) -> float:
        """Return the wall-clock time in seconds since the epoch."""
        return self._clock()

    def listen(self, callback: Listener) -> None:
        """Call *callback* after each change."""
        self._listeners.append(callback)

    def change(self, edit: Callable[[ControlState], ControlState]) -> None:
        """
        Put what *edit* makes of the state in its place, and tell other processes.

        Args:
            edit: Gets the state; what it raises reaches the caller, and nothing has
                changed then.
        """
        with self._lock:
            new = edit(self.state)
            self._publish(new)
            self.leads = True
            self._swap(new)

    def follow(self, state: ControlState) -> None:
        """Take over what another process decided."""
        with self._lock:
            self._swap(state.at(self._clock()))

    def expire(self) -> None:
        """End what is over."""
        if self.state.at(self._clock()) is self.state:
            return
        with self._lock:
            old = self.state
            new = old.at(self._clock())
            if self.leads:
                self._publish(new)
                self._tell_ends(old, new)
            self._swap(new)

    def _swap(self, new: ControlState) -> None:
        old, self.state = self.state, new
        for callback in self._listeners:
            callback(old, new)

    def _tell_ends(self, old: ControlState, new: ControlState) -> None:
        """Log what ended by itself, in the process that had begun it."""
        for fault in old.faults:
            if fault not in new.faults:
                self._log.warning("control_expired", what="fault", id=fault.id)
        if old.readiness is not None and new.readiness is None:
            self._log.warning("control_expired", what="readiness")
        if old.levels is not None and new.levels is None:
            self._log.warning("control_expired", what="log_level")
