"""What a log does when: the settings of the library, with what each promises."""

from dataclasses import dataclass
from enum import StrEnum

from service.commitlog.record import Compression

__all__ = ["Acknowledge", "Policy"]


class Acknowledge(StrEnum):
    """
    What an acknowledgement means.

    SYNCED: the record is on disk (fdatasync returned). It outlives the process, the
    kernel and a power cut, as far as the disk tells the truth.

    WRITTEN: the kernel has the record. It outlives the process, kill -9 included; a
    crash of the machine may take the last `sync_interval` seconds.
    """

    SYNCED = "synced"
    WRITTEN = "written"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """
    How a log is kept.

    Attributes:
        acknowledge: What an acknowledgement means.
        sync_interval: Seconds between two fdatasyncs when `acknowledge` is WRITTEN.
        segment_bytes: A segment is sealed before it grows over this; a batch is never
            split, so a larger one has a segment of its own.
        segment_seconds: A segment is sealed when its first record is older.
        retention_bytes: Oldest segments go while all of them hold more; 0: never.
        retention_seconds: A segment goes when its last record is older; 0: never.
        index_interval_bytes: Bytes of frames between two entries of the index.
        max_record_bytes: Largest frame of one record.
        max_batch_bytes: Largest sum of the frames of one append, and of one group.
        max_waiting_bytes: Frames that may wait for the disk before LogBusy is raised.
        compression: Tried on each value.
    """

    acknowledge: Acknowledge = Acknowledge.SYNCED
    sync_interval: float = 1.0
    segment_bytes: int = 64 * 1024 * 1024
    segment_seconds: float = 7 * 86_400.0
    retention_bytes: int = 0
    retention_seconds: float = 0.0
    index_interval_bytes: int = 4096
    max_record_bytes: int = 1024 * 1024
    max_batch_bytes: int = 8 * 1024 * 1024
    max_waiting_bytes: int = 64 * 1024 * 1024
    compression: Compression = Compression.NONE
