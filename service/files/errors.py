"""
What a store of files may refuse, whatever it keeps them in.

    FileError
    ├── InvalidPath          the name can't be one: nothing was looked for
    ├── NotFound             no file is there
    ├── PathConflict         a file stands where a directory is needed, or the reverse
    ├── PreconditionFailed   another version is there than the caller meant
    ├── TooLarge             the file is larger than one may be
    ├── QuotaExceeded        the files together are more, or more bytes, than may be
    ├── NoSpace              the disk is full
    ├── DigestMismatch       what came is not what was announced
    └── StoreUnavailable     the store is away, for now

After each of them the store is as it was before: nothing half written is ever seen.
"""

from service.errors import ServiceError

__all__ = [
    "DigestMismatch",
    "FileError",
    "InvalidPath",
    "NoSpace",
    "NotFound",
    "PathConflict",
    "PreconditionFailed",
    "QuotaExceeded",
    "StoreUnavailable",
    "TooLarge",
]


class FileError(ServiceError):
    """Anything that a store refuses."""


class InvalidPath(FileError):
    """The path can't be that of a file; the text says why, without an echo."""


class NotFound(FileError):
    """No file is there: nothing, or what is none (a directory, a link, a pipe)."""


class PathConflict(FileError):
    """A file is where a directory would have to be, or a directory where the file."""


class PreconditionFailed(FileError):
    """Another version is there than the caller meant, or there is one at all."""


class TooLarge(FileError):
    """
    The file is larger than one may be.

    Args:
        limit: How large it may be, in bytes.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"a file has at most {limit} bytes")
        self.limit = limit


class QuotaExceeded(FileError):
    """All files together would be more bytes, or more files, than may be kept."""


class NoSpace(FileError):
    """The disk is full."""


class DigestMismatch(FileError):
    """What came does not have the digest that was announced; it was thrown away."""


class StoreUnavailable(FileError):
    """The store can't be asked now; another time it may answer."""
