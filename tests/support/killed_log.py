"""
A process that appends until it is killed: `python -m tests.support.killed_log DIR`.

Four producers; after each acknowledgement one line goes to standard output by one
write: offset, producer, number. FAILPOINT=n kills it by SIGKILL right before the n-th
write, sync, create or removal, FAILPOINT=-n right after it. COUNT ends it after so many
records of each producer.
"""

import asyncio
import itertools
import os
import signal
import sys
from pathlib import Path

from service.commitlog import Policy, Record, SegmentLog
from service.commitlog.files import OsFile, OsFileSystem

FAILPOINT = int(os.environ.get("FAILPOINT", "0"))
COUNT = int(os.environ.get("COUNT", "0"))
SEGMENT_BYTES = int(os.environ.get("SEGMENT_BYTES", "32768"))
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


class _Files(OsFileSystem):
    def open(self, path, *, create=False, write=True):
        file = _around(super().open, path, create=create, write=write)
        file.__class__ = _File
        return file

    def remove(self, path):
        _around(super().remove, path)

    def sync_directory(self, directory):
        _around(super().sync_directory, directory)


async def _produce(log, producer):
    for number in itertools.count() if not COUNT else range(COUNT):
        value = b"%d %08d" % (producer, number)
        offset = await log.append([Record(value)])
        os.write(1, b"%d %s\n" % (offset, value))


async def _main():
    files = _Files() if FAILPOINT else None
    policy = Policy(segment_bytes=SEGMENT_BYTES)
    log = await SegmentLog.open(Path(sys.argv[1]), policy, files=files)
    os.write(1, b"open\n")
    await asyncio.gather(*(_produce(log, producer) for producer in range(4)))
    await log.close()


asyncio.run(_main())
