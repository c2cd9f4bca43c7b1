"""
A map in shards, each with a lock of its own.

One lock around a map is what all its users wait for; with shards they wait only for
those whose keys fall into the same one. It pays where many threads want the lock at
once, the more so where something slow happens under it that lets go of the interpreter.
It does not pay for one thread, nor in place of a `dict` whose single look-ups and
stores CPython makes whole anyway; docs/benchmarks.md has both.

Source: the Sharding pattern of Titmus, "Cloud Native Go", chapter 4.
"""

import threading
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

__all__ = ["ShardedMap"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ShardedMap(Generic[K, V]):
    """
    Keys and values, safe for any number of threads.

    Args:
        shards: How many parts, >= 1; some times the number of threads.

    Raises:
        ValueError: *shards* is less.

    Concurrency:
        Any thread. What holds for one key is atomic; `len` and iteration see each shard
        at a moment of its own.
    """

    def __init__(self, shards: int = 16) -> None:
        if shards < 1:
            raise ValueError("a map has one shard at least")
        self._shards = [_Shard[K, V]() for _ in range(shards)]

    def get(self, key: K, default: V | None = None) -> V | None:
        """Return the value of *key*, or *default*."""
        shard = self._of(key)
        with shard.lock:
            return shard.values.get(key, default)

    def set(self, key: K, value: V) -> None:
        """Give *key* this value."""
        shard = self._of(key)
        with shard.lock:
            shard.values[key] = value

    def update(self, key: K, change: Callable[[V | None], V]) -> V:
        """
        Give *key* the value that *change* makes of its present one, and return it.

        Args:
            key: The key.
            change: Gets the value, or None where there is none. Nobody else reads or
                writes the shard meanwhile, so it must not use this map.
        """
        shard = self._of(key)
        with shard.lock:
            value = shard.values[key] = change(shard.values.get(key))
            return value

    def pop(self, key: K, default: V | None = None) -> V | None:
        """Take *key* out and return its value, or *default*."""
        shard = self._of(key)
        with shard.lock:
            return shard.values.pop(key, default)

    def __contains__(self, key: K) -> bool:
        shard = self._of(key)
        with shard.lock:
            return key in shard.values

    def __len__(self) -> int:
        return sum(len(shard.values) for shard in self._shards)

    def __iter__(self) -> Iterator[K]:
        for shard in self._shards:
            with shard.lock:
                keys = list(shard.values)
            yield from keys

    def _of(self, key: K) -> "_Shard[K, V]":
        return self._shards[hash(key) % len(self._shards)]


class _Shard(Generic[K, V]):
    __slots__ = ("lock", "values")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.values: dict[K, V] = {}
