"""
Which version of a file an object is.

The tag is the store's own. Uploads leave two values with their object: an id, by which
an upload whose answer was lost is known again, and the SHA-256 of the content where it
was known before the object was begun: of small files, of those whose client told it,
and of resumed uploads.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.files.conditions import Condition
from service.files.digests import Digests
from service.files.errors import NotFound
from service.files.s3_client import Bucket
from service.files.store import FileInfo

if TYPE_CHECKING:
    from types_aiobotocore_s3.type_defs import HeadObjectOutputTypeDef

__all__ = ["Version", "check", "metadata", "version_at"]

_DIGEST = "httpserver-sha256"
_UPLOAD = "httpserver-upload"


@dataclass(frozen=True, slots=True)
class Version:
    """
    An object as it is.

    Attributes:
        info: What is told of it.
        upload: Id of the upload that it is of; empty for one of somebody else.
        version_id: The store's name of it, where the bucket keeps old versions.
    """

    info: FileInfo
    upload: str
    version_id: str


def metadata(upload: str, digests: Digests) -> dict[str, str]:
    """Return what an upload leaves with its object."""
    known = digests.get("sha-256")
    return {_UPLOAD: upload} | ({} if known is None else {_DIGEST: known.hex()})


async def version_at(bucket: Bucket, key: str) -> Version | None:
    """Return the version at *key*; None when nothing is there."""
    try:
        async with bucket.asked() as client:
            return _version(await client.head_object(Bucket=bucket.name, Key=key))
    except NotFound:
        return None


def check(condition: Condition, version: Version | None) -> None:
    """
    Compare what was meant with what is there.

    Raises:
        PreconditionFailed: It is another version.
    """
    if version is None:
        condition.check(None)
    else:
        condition.check(version.info.etag, version.info.modified)


def _version(head: "HeadObjectOutputTypeDef") -> Version:
    said = head.get("Metadata", {})
    info = FileInfo(
        size=head["ContentLength"],
        modified=head["LastModified"].timestamp(),
        etag=head["ETag"],
        digests=_digests(said.get(_DIGEST, "")),
    )
    found = head.get("VersionId", "null")
    return Version(info, said.get(_UPLOAD, ""), "" if found == "null" else found)


def _digests(text: str) -> Digests:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        return {}
    return {"sha-256": value} if len(value) == 32 else {}  # noqa: PLR2004 - bytes of a SHA-256
