"""What an append may hold."""

from collections.abc import Sequence

from service.commitlog.errors import RecordTooLarge
from service.commitlog.policy import Policy
from service.commitlog.record import Record, size_of

__all__ = ["check_batch"]


def check_batch(records: Sequence[Record], policy: Policy) -> int:
    """
    Return the bytes of the frames of *records*, uncompressed.

    Raises:
        RecordTooLarge: One of them, or all together, is over the limit.
        ValueError: No records, or headers that can't be stored.
    """
    if not records:
        raise ValueError("no records")
    sizes = [size_of(record) for record in records]
    if max(sizes) > policy.max_record_bytes:
        raise RecordTooLarge(f"a record is over {policy.max_record_bytes} bytes")
    total = sum(sizes)
    if total > policy.max_batch_bytes:
        raise RecordTooLarge(f"a batch is over {policy.max_batch_bytes} bytes")
    return total
