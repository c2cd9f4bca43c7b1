"""
Which lines of a flood are written.

Of the lines of one key the first few of a second are written and then every so-manieth,
as zap's sampler does it. None is lost without a word: the number of those that were
left out goes with the next line of the key that is written, or, when none comes any
more, into a line of its own. Written and told together are all that were asked for.

Source: https://pkg.go.dev/go.uber.org/zap/zapcore#NewSamplerWithOptions
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from service.settings import SamplingSettings

__all__ = ["KEYS", "Flood", "Key", "Sampler"]

Key = tuple[str | int, ...]
"""Level, logger, event, and for access lines method, route and class of the status."""

KEYS = 1024
"""Keys that are told apart at a time; lines of more count together, by level."""

SECOND = 1.0
"""Seconds after which counting begins anew."""


class Flood(NamedTuple):
    """Lines of *key* that were left out, and that no line has told yet."""

    key: Key
    dropped: int


class _Count:
    """
    What came of one key.

    Attributes:
        level: Level of its lines.
        began: When the second began in which they are counted.
        asked: Lines since then.
        dropped: Lines that were left out at any time …
        told: … and those of them that a line has told …
        handed: … and that are counted by level.
    """

    __slots__ = ("asked", "began", "dropped", "handed", "level", "told")

    def __init__(self, level: str, began: float) -> None:
        self.level = level
        self.began = began
        self.asked = self.dropped = self.told = self.handed = 0


class Sampler:
    """
    Says of each line whether it is written, and how many were not before it.

    Args:
        settings: How many are written, of which levels.
        clock: Seconds, monotonic.

    Attributes:
        clock: Seconds, monotonic.

    Concurrency:
        Any thread; a signal handler or a finalizer too, while another line is asked.
    """

    def __init__(
        self, settings: SamplingSettings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.clock = clock
        self._counts: dict[Key, _Count] = {}
        self._left_out: Counter[str] = Counter()
        self._lock = threading.RLock()
        self.adapt(settings)

    def adapt(self, settings: SamplingSettings) -> None:
        """
        Follow other settings; what was counted stays counted.

        Args:
            settings: How many are written, of which levels.
        """
        with self._lock:
            self._first = settings.first
            self._every = settings.then_every
            self._levels = frozenset(settings.levels if settings.first else ())

    def ask(self, level: str, key: Key, now: float | None = None) -> int | None:
        """
        Return None for a line that is left out.

        Args:
            level: Level of the line, in lower case.
            key: What the line is counted with; begins with level, logger and event.
            now: What `clock` gave, for many lines at once.

        Returns:
            For a line that is to be written, how many of its key were left out since
            the last one; that is told with it.
        """
        if level not in self._levels:
            return 0
        if now is None:
            now = self.clock()
        with self._lock:
            first = self._first
            if not first:
                return 0
            count = self._counts.get(key) or self._begun(level, key, now)
            if now - count.began >= SECOND:
                count.began, count.asked = now, 0
            count.asked += 1
            over = count.asked - first
            if over <= 0 or (self._every and over % self._every == 0):
                untold = count.dropped - count.told
                count.told = count.dropped
                return untold
            count.dropped += 1
            return None

    def ended(self, *, all_of_them: bool = False) -> list[Flood]:
        """
        Forget the keys that are quiet; return those with lines that nobody told.

        A key is quiet when no line came for a whole second. Ask once a second: what
        is never forgotten takes room until all further lines count together.

        Args:
            all_of_them: Those that are not quiet too.
        """
        now = self.clock()
        with self._lock:
            quiet = [
                key
                for key, count in self._counts.items()
                if all_of_them or now - count.began >= 2 * SECOND
            ]
            gone = [(key, self._counts.pop(key)) for key in quiet]
            for _key, count in gone:
                self._hand_over(count)
        floods = [Flood(key, count.dropped - count.told) for key, count in gone]
        return [each for each in floods if each.dropped]

    def take_left_out(self) -> Counter[str]:
        """Return the lines that were left out since the last call, by level."""
        with self._lock:
            for count in self._counts.values():
                self._hand_over(count)
            taken, self._left_out = self._left_out, Counter()
        return taken

    def _hand_over(self, count: _Count) -> None:
        if count.dropped > count.handed:
            self._left_out[count.level] += count.dropped - count.handed
            count.handed = count.dropped

    def _begun(self, level: str, key: Key, now: float) -> _Count:
        """Return the count of a key that has none, or that of what has no room."""
        if len(self._counts) >= KEYS:
            key = key[:1]
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = _Count(level, now)
        return count
