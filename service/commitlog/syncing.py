"""
When what was written is synced, and what is known of that after a crash.

A log that acknowledges what is on disk syncs with each group; one that acknowledges
what the kernel has syncs now and then. Either way the mark tells the next start how
much of the active segment must be there.
"""

import contextlib
from collections.abc import Callable

from service.commitlog.mark import Mark, MarkFile
from service.commitlog.policy import Acknowledge, Policy
from service.commitlog.segment import Segment

__all__ = ["Syncing"]


class Syncing:
    """
    What of the active segment is on disk.

    Args:
        mark: Where it is noted; closed with this.
        policy: When to sync.
        clock: Seconds since 1970; it may jump.

    Attributes:
        pending: Whether something was written that is not synced.

    Concurrency: for the one thread that writes.
    """

    def __init__(
        self, mark: MarkFile, policy: Policy, *, clock: Callable[[], float]
    ) -> None:
        self._mark, self._policy, self._clock = mark, policy, clock
        self._synced_at = clock()
        self.pending = False

    def due(self) -> bool:
        """Whether what is written now is to be synced now."""
        if self._policy.acknowledge is Acknowledge.SYNCED:
            return True
        elapsed = self._clock() - self._synced_at
        # a clock that was set back must not put it off until it is there again
        return not 0 <= elapsed < self._policy.sync_interval

    def sync(self, active: Segment) -> None:
        """
        Sync the active segment and note how far it goes.

        Raises:
            OSError: Nobody knows what is on disk.
        """
        active.store.sync()
        self.pending, self._synced_at = False, self._clock()
        self.note(active)

    def note(self, active: Segment) -> None:
        """Note that all of the active segment is on disk."""
        mark = Mark(active.base_offset, active.store.end, active.next_offset)
        # A mark that is too low costs a second look at the next start, nothing else.
        with contextlib.suppress(OSError):
            self._mark.write(mark)

    def close(self) -> None:
        """Close the mark."""
        self._mark.close()
