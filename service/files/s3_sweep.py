"""Parts that killed processes left in an object store, found and removed."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from service.files.s3_client import Bucket
from service.files.s3_errors import Changed

if TYPE_CHECKING:
    from types_aiobotocore_s3.type_defs import MultipartUploadTypeDef

__all__ = ["sweep"]


async def sweep(bucket: Bucket, *, age: float) -> int:
    """
    Abort uploads in parts that nobody can be at any more.

    Args:
        bucket: Where they are.
        age: Seconds since they began; a younger one may be another process's.

    Returns:
        How many there were.

    Raises:
        StoreUnavailable: The store does not answer, or refuses.
    """
    oldest = datetime.now(UTC) - timedelta(seconds=age)
    swept, key, upload, more = 0, "", "", True
    while more:
        async with bucket.asked() as client:
            answer = await client.list_multipart_uploads(
                Bucket=bucket.name,
                Prefix=bucket.prefix,
                KeyMarker=key,
                UploadIdMarker=upload,
            )
        for each in answer.get("Uploads", ()):
            if each["Initiated"] < oldest:
                await _abort(bucket, each)
                swept += 1
        more = answer["IsTruncated"]
        key = answer.get("NextKeyMarker", "")
        upload = answer.get("NextUploadIdMarker", "")
    return swept


async def _abort(bucket: Bucket, upload: "MultipartUploadTypeDef") -> None:
    try:
        async with bucket.asked() as client:
            await client.abort_multipart_upload(
                Bucket=bucket.name, Key=upload["Key"], UploadId=upload["UploadId"]
            )
    except Changed:
        return  # another process was faster
