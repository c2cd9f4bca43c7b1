"""
A directory in an object store, page by page: the keys with its prefix, up to the next
slash.

Keys come in the order of their bytes, in which `a.txt` is before `a/`, and names are
told in the order of code points, in which `a` is before `a.txt`. So a directory may be
behind the last key of a page that it belongs into: then its name is a begin of that
key, and each such begin is asked for.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from service.files.errors import InvalidPath, NotFound
from service.files.paths import MAX_NAME, directory_path
from service.files.s3_client import Bucket
from service.files.store import Directory, Entry, Page

if TYPE_CHECKING:
    from types_aiobotocore_s3.type_defs import ListObjectsV2OutputTypeDef

__all__ = ["is_directory", "read_page"]

_MOST = 1000
"""Keys of an answer, as S3 has it."""

Place = tuple[str, bool]
"""A name and whether it is a directory's: a file comes before its namesake."""


async def read_page(bucket: Bucket, path: str, *, after: str, limit: int) -> Page:
    """
    Return a part of a directory.

    Args:
        bucket: Where it is.
        path: Of the directory; empty for the root.
        after: Where it begins: a name, with a slash for a directory's.
        limit: Most entries.

    Raises:
        NotFound: Nothing is in it, and it is not the root.
    """
    base = bucket.key(f"{path}/" if path else "")
    behind = (after.removesuffix("/"), after.endswith("/"))
    async with bucket.asked() as client:
        answer = await client.list_objects_v2(
            Bucket=bucket.name,
            Prefix=base,
            Delimiter="/",
            # directories before `after` may come again, one for each of its letters
            MaxKeys=min(limit + MAX_NAME + 2, _MOST),
            StartAfter=base + behind[0] if behind[0] else "",
        )
    found = _found(answer, base)
    if not found and path and not await is_directory(bucket, path):
        raise NotFound
    more = answer["IsTruncated"]
    if more:
        for name in _begins(max(found, key=_token)[0] if found else ""):
            if (name, True) not in found and await is_directory(
                bucket, base.removeprefix(bucket.prefix) + name
            ):
                found[name, True] = Directory(name)
    places = sorted(place for place in found if place > behind)
    chosen = places[:limit]
    last = _token(chosen[-1]) if chosen and (more or len(places) > limit) else ""
    entries = (found[place] for place in chosen)
    return Page(tuple(each for each in entries if _can_be_said(path, each.name)), last)


async def is_directory(bucket: Bucket, path: str) -> bool:
    """Whether any key is below *path*."""
    async with bucket.asked() as client:
        answer = await client.list_objects_v2(
            Bucket=bucket.name, Prefix=bucket.key(f"{path}/"), MaxKeys=1
        )
    return bool(answer["KeyCount"])


def _found(
    answer: "ListObjectsV2OutputTypeDef", base: str
) -> dict[Place, Entry | Directory]:
    """Return what an answer lists; keys without a name, as consoles make, are none."""
    found: dict[Place, Entry | Directory] = {}
    for file in answer.get("Contents", ()):
        name = file["Key"].removeprefix(base)
        if name:
            modified = file["LastModified"].timestamp()
            found[name, False] = Entry(name=name, size=file["Size"], modified=modified)
    for directory in answer.get("CommonPrefixes", ()):
        name = directory["Prefix"].removeprefix(base).removesuffix("/")
        found[name, True] = Directory(name)
    return found


def _token(place: Place) -> str:
    name, is_a_directory = place
    return f"{name}/" if is_a_directory else name


def _begins(name: str) -> Iterator[str]:
    """Yield the begins of a name whose directories sort behind it."""
    for at in range(1, len(name)):
        if name[at] < "/":
            yield name[:at]


def _can_be_said(path: str, name: str) -> bool:
    """Whether a client can ask for it: other programs may make any key."""
    full = f"{path}/{name}" if path else name
    try:
        return directory_path(full) == full
    except InvalidPath:
        return False
