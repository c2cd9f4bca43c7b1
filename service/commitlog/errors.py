"""
What a commit log raises.

    CommitLogError             any of the below
    ├── OffsetOutOfRange       no record has this offset: not yet, or no longer
    ├── RecordTooLarge         a record or batch over the limit of the policy
    ├── LogBusy                too much waits, or too many files are open; try again
    │   └── LogUnreachable     no server of the log answers; try again
    ├── LogFull                no space: nothing of the append is stored; try again
    ├── WritesRefused          a failure left doubt about the disk: restart
    │   └── OutcomeUnknown     no acknowledgement came; the next append may work
    ├── LogClosed              the log was closed
    ├── LogLocked              another process writes to the directory
    └── LogDamaged             bytes that were on disk are not what they were
        └── OtherVersion       of a program that writes another format

and BadRecords, a ValueError, for records that can't be stored as they are.
"""

from service.errors import ServiceError

__all__ = [
    "BadRecords",
    "CommitLogError",
    "LogBusy",
    "LogClosed",
    "LogDamaged",
    "LogFull",
    "LogLocked",
    "LogUnreachable",
    "OffsetOutOfRange",
    "OtherVersion",
    "OutcomeUnknown",
    "RecordTooLarge",
    "WritesRefused",
    "raise_kept",
]


class BadRecords(ValueError):
    """Records that no log takes as they are; the text is for who made them."""


class CommitLogError(ServiceError):
    """Any failure of a commit log."""


class OffsetOutOfRange(CommitLogError):
    """
    No record has this offset.

    Args:
        offset: What was asked for.
        lowest: Offset of the first record that is kept.
        next_offset: Offset that the next record gets.
    """

    def __init__(self, offset: int, *, lowest: int, next_offset: int) -> None:
        super().__init__(f"offset {offset} is not in [{lowest}, {next_offset})")
        self.offset = offset
        self.lowest = lowest
        self.next_offset = next_offset


class RecordTooLarge(CommitLogError):
    """A record or a batch is over the limit."""


class LogBusy(CommitLogError):
    """Too much waits, or no file can be opened: nothing of this append is stored."""


class LogUnreachable(LogBusy):
    """No server of the log answers, or none leads; nothing was taken."""


class LogFull(CommitLogError):
    """The disk or quota is full; nothing of this append is stored."""


class WritesRefused(CommitLogError):
    """
    A failure left doubt about what is on disk: no write is taken until a restart.

    After a failed fdatasync Linux may mark the pages clean: a second one would succeed
    though the bytes are lost.

    Source: https://wiki.postgresql.org/wiki/Fsync_Errors
    """


class OutcomeUnknown(WritesRefused):
    """
    No server acknowledged the append in time: it may be stored, or be stored yet.

    The log goes on. Whoever appends the same again gets it twice, unless the records
    have an id by which the log knows duplicates.
    """


class LogClosed(CommitLogError):
    """The log was closed."""


class LogLocked(CommitLogError):
    """Another process has the directory."""


class LogDamaged(CommitLogError):
    """
    Bytes that were on disk are missing or changed.

    Args:
        path: The file.
        position: Byte of the file at which the first wrong frame starts.
        reason: What is wrong there.
    """

    def __init__(self, path: str, position: int, reason: str) -> None:
        super().__init__(f"{path}: damaged at byte {position}: {reason}")
        self.path = path
        self.position = position
        self.reason = reason


class OtherVersion(LogDamaged):
    """
    A file of a format that this program doesn't know: a newer one wrote it.

    Args:
        path: The file.
        version: Of its format.
        known: The one that this program reads.
    """

    def __init__(self, path: str, version: int, known: int) -> None:
        reason = f"it is of format version {version}, this program reads {known}"
        super().__init__(path, 0, reason)
        self.args = (f"{path}: {reason}",)  # nothing is damaged


def raise_kept(error: CommitLogError | None) -> None:
    """Raise *error*, which its owner keeps, without the frames that it was in."""
    if error is not None:
        # else it would keep the frames, and the records, of all it was raised to
        raise error.with_traceback(None)
