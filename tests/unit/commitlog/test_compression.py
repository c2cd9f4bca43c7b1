"""Compressed values: as they were, and counted as large as they are when given out."""

from service.commitlog import Compression, Policy, Record, SegmentLog

LARGE = bytes(100_000)
"""A hundred bytes once it is compressed."""


async def test_batch_of_compressed_values_keeps_to_its_limit(tmp_path):
    """A few bytes of the disk must not become a gigabyte of memory."""
    log = await SegmentLog.open(tmp_path, Policy(compression=Compression.ZLIB))
    await log.append([Record(LARGE)] * 10)
    batch = await log.read(0, max_bytes=250_000)
    size = log.size_bytes
    await log.close()

    assert [each.value for each in batch] == [LARGE] * 2
    assert size < 10_000
