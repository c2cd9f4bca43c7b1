"""A bounded, sorted collection whose entries have versions."""

import itertools
from bisect import bisect_right, insort
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.errors import NotFound, RequestError

__all__ = ["Kept", "Shelf"]

T = TypeVar("T")

_FULL = 409
"""Not 507: whoever fills it would raise the alarm for failures of ours."""


@dataclass(frozen=True, slots=True)
class Kept(Generic[T]):
    """
    A value and its version.

    Attributes:
        value: The value.
        etag: Another one for each change, and never the same again.
    """

    value: T
    etag: str


class Shelf(Generic[T]):
    """
    Values by key.

    Args:
        most: Gives how many there may be.
        epoch: Begins every tag, so that those of another process differ.

    Concurrency:
        Tasks of one event loop; nothing waits, so each call is one step.
    """

    def __init__(self, most: Callable[[], int], *, epoch: str) -> None:
        self._most = most
        self._epoch = epoch
        self._versions = itertools.count(1)
        self._entries: dict[str, Kept[T]] = {}
        self._keys: list[str] = []

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: str) -> Kept[T] | None:
        """Return what is at *key*, or None."""
        return self._entries.get(key)

    def get(self, key: str) -> Kept[T]:
        """
        Return what is at *key*.

        Raises:
            NotFound: Nothing is.
        """
        kept = self._entries.get(key)
        if kept is None:
            raise NotFound("Nothing is at this path.")
        return kept

    def put(self, key: str, value: T) -> Kept[T]:
        """
        Keep *value* at *key*, in place of what is there.

        Raises:
            RequestError: 409: it is new and there is no room.
        """
        if key not in self._entries:
            if len(self._entries) >= self._most():
                raise RequestError("There is no room for more.", status=_FULL)
            insort(self._keys, key)
        kept = Kept(value, f'"{self._epoch}-{next(self._versions)}"')
        self._entries[key] = kept
        return kept

    def remove(self, key: str) -> None:
        """Take what is at *key* away."""
        del self._entries[key]
        del self._keys[bisect_right(self._keys, key) - 1]

    def page(
        self, *, after: str, limit: int, prefix: str = ""
    ) -> tuple[list[T], str | None]:
        """
        Return the values that follow *after*, by key, and the last of their keys.

        Args:
            after: A key, which need not be there; empty for the beginning.
            limit: Most values.
            prefix: How their keys begin.

        Returns:
            The values, and the key to go on after; None when nothing follows.
        """
        start = bisect_right(self._keys, max(after, prefix))
        found = list(itertools.islice(self._keys, start, start + limit + 1))
        found = [key for key in found if key.startswith(prefix)]
        values = [self._entries[key].value for key in found[:limit]]
        return values, found[limit - 1] if len(found) > limit else None
