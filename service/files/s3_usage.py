"""
What the files of a bucket take, where a quota wants to know.

An object store has no such number. So its keys are counted, at the start and every few
minutes, and between two counts each process adds what it did itself: processes that
share a bucket may exceed a quota by what the others stored since.
"""

from collections.abc import Callable

from service.files.errors import QuotaExceeded, StoreUnavailable, TooLarge
from service.files.local_store import Limits
from service.files.s3_client import Bucket
from service.files.usage import Used

__all__ = ["BucketUsage"]


class BucketUsage:
    """
    The count, and what is on its way.

    Args:
        limits: Gives how much is kept; asked each time.

    Attributes:
        arriving: Bytes of uploads that are not files yet.

    Concurrency: tasks of one event loop.
    """

    def __init__(self, limits: Callable[[], Limits]) -> None:
        self._limits = limits
        self._used: Used | None = None
        self.arriving = 0

    @property
    def is_wanted(self) -> bool:
        """Whether there is a quota."""
        limits = self._limits()
        return limits.total_bytes > 0 or limits.total_files > 0

    @property
    def used(self) -> Used | None:
        """What the files take; None when it was not counted."""
        return self._used

    async def count(self, bucket: Bucket) -> None:
        """
        Count what is there, where there is a quota.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        if not self.is_wanted:
            self._used = None
            return
        size = files = 0
        token: dict[str, str] = {}
        while True:
            async with bucket.asked() as client:
                answer = await client.list_objects_v2(
                    Bucket=bucket.name,
                    Prefix=bucket.prefix,
                    **token,  # type: ignore[arg-type] # of strings alone
                )
            for each in answer.get("Contents", ()):
                size, files = size + each["Size"], files + 1
            if not answer["IsTruncated"]:
                break
            token = {"ContinuationToken": answer["NextContinuationToken"]}
        self._used = Used(size, files)

    def add(self, size: int, files: int) -> None:
        """Add what came, or take off what went."""
        if self._used is not None:
            used = self._used
            self._used = Used(max(0, used.size + size), max(0, used.files + files))

    def check(self, size: int, more: int, *, files: int = 0) -> None:
        """
        Refuse what there would be no room for.

        Args:
            size: Bytes of the file, as far as they are known.
            more: Bytes beside all that are kept and on their way.
            files: How many files it makes more.

        Raises:
            TooLarge: No file may be as large.
            QuotaExceeded: All files together may not.
            StoreUnavailable: There is a quota, and nobody has counted yet.
        """
        limits = self._limits()
        if size > limits.file_bytes:
            raise TooLarge(limits.file_bytes)
        if not self.is_wanted:
            return
        if self._used is None:
            raise StoreUnavailable("the files are still being counted for the quota")
        total = self._used.size + self.arriving + more
        if 0 < limits.total_bytes < total:
            raise QuotaExceeded
        if files and 0 < limits.total_files < self._used.files + files:
            raise QuotaExceeded
