"""
How many bytes of an upload on its way the quota knows of.

The process that writes an upload tells the quota now and then. Another one of the same
root may start meanwhile, and count all files anew: it must count what has been told,
and not what has come, or the rest would be told twice. And whoever goes on with what a
killed process has left must tell what that one did not. So the number is kept with the
bytes, in the attribute `user.httpserver.counted`, and changes under the quota's lock.
Where a file system keeps no attributes all that came is taken for told.
"""

import os
from contextlib import suppress

from service.files.arrivals import take_lock

__all__ = ["count_waiting", "read_counted", "write_counted"]

_ATTRIBUTE = "user.httpserver.counted"
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


def read_counted(descriptor: int) -> int:
    """Return the bytes of an upload that the quota knows of."""
    try:
        return int(os.getxattr(descriptor, _ATTRIBUTE))
    except (OSError, ValueError, AttributeError):  # macOS has none
        return os.fstat(descriptor).st_size


def write_counted(descriptor: int, size: int) -> None:
    """Keep how many bytes of an upload the quota knows of."""
    with suppress(OSError, AttributeError):
        os.setxattr(descriptor, _ATTRIBUTE, str(size).encode())


def count_waiting(directory: int, end: str) -> int:
    """
    Return the bytes of uploads to be told to a quota that begins anew.

    Args:
        directory: Descriptor of where they are.
        end: Of the names of their bytes.

    Concurrency: for the holder of the quota's lock, in a thread.
    """
    with os.scandir(directory) as entries:
        names = [each.name for each in entries if each.name.endswith(end)]
    return sum(_counted(directory, name) for name in names)


def _counted(directory: int, name: str) -> int:
    try:
        descriptor = os.open(name, _FLAGS, dir_fd=directory)
    except FileNotFoundError:
        return 0
    try:
        if take_lock(descriptor):  # nobody writes it: all of it counts from now on
            write_counted(descriptor, os.fstat(descriptor).st_size)
        return read_counted(descriptor)
    finally:
        os.close(descriptor)
