"""
A process that appends until it is killed: `python -m tests.support.killed_log DIR`.

Four producers; after each acknowledgement one line goes to standard output by one
write: offset, producer, number. FAILPOINT kills it, as `failpoints` says; COUNT ends it
after so many records of each producer.
"""

import asyncio
import itertools
import os
import sys
from pathlib import Path

from service.commitlog import Policy, Record, SegmentLog
from tests.support.failpoints import FAILPOINT, Files

COUNT = int(os.environ.get("COUNT", "0"))
SEGMENT_BYTES = int(os.environ.get("SEGMENT_BYTES", "32768"))


async def _produce(log, producer):
    for number in itertools.count() if not COUNT else range(COUNT):
        value = b"%d %08d" % (producer, number)
        offset = await log.append([Record(value)])
        os.write(1, b"%d %s\n" % (offset, value))


async def _main():
    files = Files() if FAILPOINT else None
    policy = Policy(segment_bytes=SEGMENT_BYTES)
    log = await SegmentLog.open(Path(sys.argv[1]), policy, files=files)
    os.write(1, b"open\n")
    await asyncio.gather(*(_produce(log, producer) for producer in range(4)))
    await log.close()


asyncio.run(_main())
