"""
Points around each change of a log's files at which the process may be killed.

FAILPOINT=n in the environment kills it by SIGKILL right before the n-th write, sync,
create or removal, FAILPOINT=-n right after it; odd ones within a write.
"""

import itertools
import os
import signal

from service.commitlog.files import OsFile, OsFileSystem

__all__ = ["FAILPOINT", "Files"]

FAILPOINT = int(os.environ.get("FAILPOINT", "0"))
_calls = itertools.count(1)


def _around(function, *arguments, **options):
    call = next(_calls)
    if call == FAILPOINT:
        os.kill(os.getpid(), signal.SIGKILL)
    result = function(*arguments, **options)
    if call == -FAILPOINT:
        os.kill(os.getpid(), signal.SIGKILL)
    return result


class _File(OsFile):
    __slots__ = ()

    def write(self, position, data):
        half = len(data) // 2
        if half and -FAILPOINT > 0 and FAILPOINT % 2:
            data = data[:half]  # a short write, so that a kill falls within a frame
        return _around(super().write, position, data)

    def sync(self):
        _around(super().sync)


class Files(OsFileSystem):
    """The files of the system, with a failpoint around each change."""

    def open(self, path, *, create=False, write=True):
        file = _around(super().open, path, create=create, write=write)
        file.__class__ = _File
        return file

    def remove(self, path):
        _around(super().remove, path)

    def sync_directory(self, directory):
        _around(super().sync_directory, directory)
