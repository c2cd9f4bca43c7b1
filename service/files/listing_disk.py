"""A directory of the local disk, read page by page, and the whole tree counted."""

import heapq
import os
from collections.abc import Iterator
from contextlib import suppress

from service.files.counted import count_waiting
from service.files.errors import InvalidPath, NotFound
from service.files.paths import RESERVED, directory_path
from service.files.store import Directory, Entry, Page
from service.files.tree import is_servable
from service.files.usage import Used

__all__ = ["count", "read_page"]


def read_page(directory: int, *, after: str, limit: int, top: bool) -> Page:
    """
    Return a part of a directory.

    However many names it has, no more than *limit* of them are held in memory.

    Args:
        directory: Its descriptor.
        after: Name behind which the page begins.
        limit: Most entries.
        top: Whether it is the root, which may be empty.

    Raises:
        NotFound: Nothing in it is served, and it is not the root.
    """
    names = _Names(directory, after=after, top=top)
    chosen = heapq.nsmallest(limit + 1, names)
    if not names.any and not top:
        raise NotFound
    more = len(chosen) > limit
    entries = [_entry(directory, name, is_dir) for name, is_dir in chosen[:limit]]
    last = chosen[limit - 1][0] if more else ""
    return Page(tuple(each for each in entries if each is not None), last)


class _Names:
    """The names of a directory that a client could say: others are not served."""

    def __init__(self, directory: int, *, after: str, top: bool) -> None:
        self._directory = directory
        self._after = after
        # the reserved name is one at the root alone
        self._prefix = "" if top else "x/"
        self.any = False

    def __iter__(self) -> Iterator[tuple[str, bool]]:
        """Yield each name of the page or behind it, and whether it is a directory's."""
        with os.scandir(self._directory) as entries:
            for entry in entries:
                wanted = entry.name > self._after
                if not wanted and self.any:
                    continue
                is_directory = entry.is_dir(follow_symlinks=False)
                is_file = entry.is_file(follow_symlinks=False)
                if (is_directory or is_file) and self._can_be_said(entry.name):
                    self.any = True
                    if wanted:
                        yield entry.name, is_directory

    def _can_be_said(self, name: str) -> bool:
        path = self._prefix + name
        try:
            return directory_path(path) == path
        except InvalidPath:
            return False


def _entry(directory: int, name: str, is_directory: bool) -> Entry | Directory | None:  # noqa: FBT001 - of a pair
    if is_directory:
        return Directory(name)
    with suppress(FileNotFoundError):  # it has gone since
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if is_servable(found):
            return Entry(name=name, size=found.st_size, modified=found.st_mtime)
    return None


def count(root: int, hidden: int) -> Used:
    """
    Return what all files below a root take, those of stopped uploads by their bytes.

    Args:
        root: Descriptor of the root.
        hidden: Descriptor of the directory of what is on its way.
    """
    size = files = 0
    for path, directories, names, descriptor in os.fwalk(dir_fd=root):
        if path == ".":
            directories[:] = [each for each in directories if each != RESERVED]
        for name in names:
            with suppress(FileNotFoundError):
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if is_servable(found):
                    size, files = size + found.st_size, files + 1
    return Used(size + count_waiting(hidden, ".part"), files)
