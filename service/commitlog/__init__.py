"""
A commit log: records in the order they came, kept until retention takes them.

    record        a record and its frame: the format on disk, in full
    store         append-only file of frames
    index         sparse, offset to position; `time_index` from time to offset
    segment       consecutive records: a store with its index
    mark          how far the log is known to be on disk
    recovery      what a start checks, cuts and refuses
    segments      the list of them: reading, while some are added and dropped
    syncing       when to sync, and the mark that says so
    log           segments as one log: commit, roll, retention
    group_commit  the log behind an event loop: one fdatasync for all that wait
    inspection    verify, dump and repair for `httpserver log`
    memory        the same without a disk
    protocol      what both are to their users

A library of its own: it imports nothing of the service but its root error.
"""

from service.commitlog.group_commit import SegmentLog
from service.commitlog.memory import MemoryLog
from service.commitlog.policy import Acknowledge, Policy
from service.commitlog.protocol import CommitLog, Offsets
from service.commitlog.record import Compression, Record

__all__ = [
    "Acknowledge",
    "CommitLog",
    "Compression",
    "MemoryLog",
    "Offsets",
    "Policy",
    "Record",
    "SegmentLog",
]
