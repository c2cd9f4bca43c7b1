"""What an error of the disk means to who asked for a file."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from service.files.errors import InvalidPath, NoSpace, StoreUnavailable

__all__ = ["told"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""The disk, the user's share of it, or the largest file that it takes."""


@contextmanager
def told() -> Iterator[None]:
    """
    Raise a store's errors for those of the system.

    Raises:
        NoSpace: The disk is full.
        InvalidPath: This file system can't hold the name.
        StoreUnavailable: Anything else.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoSpace from error
        if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL):
            raise InvalidPath("This name can't be kept here.") from error
        raise StoreUnavailable(error.strerror) from error
