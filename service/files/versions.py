"""
Which version of a file is on disk: its tag, and its digests when they are known.

Uploads leave their SHA-256 in an extended attribute of the file, beside the size and
time that the file had: so the tag is that of the content and the same on every copy,
and a file that somebody changed in place is not told by the digest that it had before.
Where a file has none, since it was copied there or the file system has no attributes,
the tag is made of its inode, size and times.

The attribute is `user.httpserver.digest`: `<size> <mtime in ns> <SHA-256 in hex>`.
"""

import base64
import os

from service.files.digests import Digests
from service.files.store import FileInfo

__all__ = ["read_version", "stamp"]

_ATTRIBUTE = "user.httpserver.digest"
_TAG_BYTES = 18
"""Of the SHA-256: 144 bits are 24 characters, and no two contents share them."""


def stamp(descriptor: int, digests: Digests) -> None:
    """Leave the digest of its content with a file, where the file system keeps it."""
    found = os.fstat(descriptor)
    text = f"{found.st_size} {found.st_mtime_ns} {digests['sha-256'].hex()}"
    try:
        os.setxattr(descriptor, _ATTRIBUTE, text.encode())
    except (OSError, AttributeError):
        return  # not kept here: the tag is made of inode and times


def read_version(descriptor: int) -> FileInfo:
    """Return the version of an open file."""
    found = os.fstat(descriptor)
    digest = _digest(descriptor, found)
    if digest is None:
        tag = f"{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}"
    else:
        tag = base64.urlsafe_b64encode(digest[:_TAG_BYTES]).decode()
    return FileInfo(
        size=found.st_size,
        modified=found.st_mtime,
        etag=f'"{tag}"',
        digests={} if digest is None else {"sha-256": digest},
    )


def _digest(descriptor: int, found: os.stat_result) -> bytes | None:
    """Return the digest that was left with the file, if it is still that of it."""
    try:
        text = os.getxattr(descriptor, _ATTRIBUTE).decode("ascii")
        size, modified, digest = text.split()
        if (int(size), int(modified)) != (found.st_size, found.st_mtime_ns):
            return None
        value = bytes.fromhex(digest)
    except (OSError, ValueError, AttributeError):  # macOS has none
        return None
    return value if len(value) == 32 else None  # noqa: PLR2004 - bytes of a SHA-256
