"""The port of files: the same answers from every store."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator

import pytest

from service.files.conditions import Condition
from service.files.errors import (
    DigestMismatch,
    NotFound,
    PreconditionFailed,
    QuotaExceeded,
    StoreUnavailable,
    TooLarge,
)
from service.files.local_store import Limits
from service.files.store import Directory, Entry, FileStore, Upload
from tests.support.files import local_store, read, stored_text, text
from tests.support.s3 import s3_store

STORES = {"local": local_store, "s3": s3_store}
"""By name: a context manager that gives an empty store, from a folder and limits."""

LIMITS = Limits(file_bytes=4_000_000, total_bytes=5_000_000, total_files=20)


@pytest.fixture(params=sorted(STORES))
async def store(request, tmp_path) -> AsyncIterator[FileStore]:
    async with STORES[request.param](tmp_path, LIMITS) as found:
        yield found


async def names(store: FileStore, path: str = "", limit: int = 1000) -> list[str]:
    """All entries of a directory, page by page; directories end in a slash."""
    found: list[str] = []
    after = ""
    while True:
        page = await store.list(path, after=after, limit=limit)
        assert len(page.entries) <= limit
        found += [
            each.name + ("/" if isinstance(each, Directory) else "")
            for each in page.entries
        ]
        if not page.last:
            return found
        after = page.last


async def test_file_that_was_put_is_read_as_it_was(store):
    """Content, size, tag and digest are those of what came."""
    content = bytes(range(256)) * 5000
    put = await store.put("a/b/café 张.bin", text(content[:7], content[7:]))
    info = put.info

    assert put.created
    assert await read(store, "a/b/café 张.bin") == content
    assert info.size == len(content)
    assert info.digests.get("sha-256") in (None, hashlib.sha256(content).digest())
    assert info.etag[0] == info.etag[-1] == '"'
    assert len(info.etag) > 2
    assert await store.stat("a/b/café 张.bin") == info


async def test_empty_file_is_a_file(store):
    """No bytes are a content too."""
    await store.put("empty", text())

    assert (await store.stat("empty")).size == 0
    assert await read(store, "empty") == b""


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 1), (0, 0), (3, 9), (299_990, 300_000), (5, 280_000)]
)
async def test_part_of_a_file_is_that_part(store, start, stop):
    """Any range comes whole, whatever pieces the store reads in."""
    content = bytes(i * 7 % 251 for i in range(300_000))
    await store.put("part", text(content))

    assert await read(store, "part", start, stop) == content[start:stop]


async def test_replaced_file_has_another_tag(store):
    """A new version takes the place of the old one."""
    first = await store.put("f", text(b"one"))
    second = await store.put("f", text(b"two!"))

    assert not second.created
    assert second.info.etag != first.info.etag
    assert await read(store, "f") == b"two!"
    assert await store.stat("f") == second.info


async def test_file_being_read_is_not_changed_by_an_upload(store):
    """Who opened a version reads that version, or is told; never a mixture."""
    old, new = b"old" * 200_000, b"new" * 200_000
    await store.put("f", text(old))
    async with store.open("f") as file:
        await store.put("f", text(new))
        found = b""
        with contextlib.suppress(StoreUnavailable):
            async for chunk in file.chunks(0, file.info.size):
                found += chunk

    assert old.startswith(found)
    assert found in (old, b"")


async def test_upload_that_is_cut_leaves_the_old_file(store):
    """What raises in the middle keeps nothing of what came."""
    await store.put("f", text(b"old"))

    async def cut() -> AsyncIterator[bytes]:
        yield b"x" * 2_000_000
        raise ConnectionError

    for path in ("f", "new/g"):
        with pytest.raises(ConnectionError):
            await store.put(path, cut())
    assert await read(store, "f") == b"old"
    assert await names(store) == ["f"]


async def test_cancelled_upload_leaves_nothing(store):
    """An upload whose task is cancelled is as if it had not been."""
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * 2_000_000
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(store.put("a/f", endless()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await names(store) == []


async def test_missing_file_is_not_found(store):
    """Neither what never was nor a directory is a file."""
    await store.put("a/b", text(b"x"))

    for path in ("b", "a", "a/b/c", "a/c"):
        with pytest.raises(NotFound):
            await store.stat(path)
        with pytest.raises(NotFound):
            async with store.open(path):
                pass
        with pytest.raises(NotFound):
            await store.delete(path)
    with pytest.raises(NotFound):
        await store.list("c")


async def test_deleted_file_takes_its_empty_directories_along(store):
    """What is left of a directory without files is nothing."""
    await store.put("a/b/c/f", text(b"x"))
    await store.put("a/g", text(b"x"))

    await store.delete("a/b/c/f")
    assert await names(store, "a") == ["g"]
    await store.delete("a/g")
    assert await names(store) == []


async def test_conditions_hold_for_put(store):
    """Only the version that was meant is replaced, and only nothing is created over."""
    new = Upload(condition=Condition(none_match=("*",)))
    info = (await store.put("f", text(b"1"), new)).info
    same = Upload(condition=Condition(match=(info.etag,)))
    anything = Upload(condition=Condition(match=("*",)))

    for path, upload in [("f", new), ("g", anything), ("g", same)]:
        with pytest.raises(PreconditionFailed):
            await store.put(path, text(b"2"), upload)
    await store.put("f", text(b"2"), same)
    with pytest.raises(PreconditionFailed):
        await store.put("f", text(b"3"), same)
    await store.put("f", text(b"4"), anything)
    assert await read(store, "f") == b"4"
    assert await names(store) == ["f"]


async def test_conditions_hold_for_delete(store):
    """A version that was not meant stays."""
    await store.put("f", text(b"1"))

    with pytest.raises(PreconditionFailed):
        await store.delete("f", Condition(match=('"other"',)))
    await store.delete("f", Condition(match=((await store.stat("f")).etag,)))
    with pytest.raises(NotFound):
        await store.stat("f")


async def test_creations_at_once_one_gets_through(store):
    """Of many that all ask for nothing to be there one finds it so."""
    new = Upload(condition=Condition(none_match=("*",)))
    results = await asyncio.gather(
        *(store.put("d/f", text(b"%d" % n * 1000), new) for n in range(8)),
        return_exceptions=True,
    )

    assert sum(isinstance(each, PreconditionFailed) for each in results) == 7
    assert len(set(await read(store, "d/f"))) == 1


async def test_row_58_two_uploads_of_one_name_one_wins_whole(store):
    """The content is that of one upload, and its tag too."""
    contents = [b"%d" % n * 700_000 for n in range(5)]
    results = await asyncio.gather(
        *(store.put("f", text(c[:9], c[9:])) for c in contents)
    )
    found = await read(store, "f")

    assert found in contents
    assert results[contents.index(found)].info.etag == (await store.stat("f")).etag


async def test_digests_are_verified(store):
    """Content that is not what was announced is not kept."""
    right = {"sha-256": hashlib.sha256(b"ab").digest()}
    both = right | {"sha-512": hashlib.sha512(b"ab").digest()}

    await store.put("right", text(b"a", b"b"), Upload(digests=both))
    with pytest.raises(DigestMismatch):
        await store.put("wrong", text(b"ac"), Upload(digests=right))
    with pytest.raises(DigestMismatch):
        await store.put("right", text(b"ac"), Upload(digests=right))
    assert await names(store) == ["right"]
    assert await read(store, "right") == b"ab"


async def test_file_above_the_limit_is_refused(store):
    """Whether its size is said or not, and nothing of it stays."""
    big = b"x" * (LIMITS.file_bytes + 1)

    with pytest.raises(TooLarge) as refused:
        await store.put("f", text(big[:10], big[10:]))
    assert refused.value.limit == LIMITS.file_bytes
    with pytest.raises(TooLarge):
        await store.put("f", text(b""), Upload(size=len(big)))
    assert await names(store) == []


async def test_quota_of_bytes_is_kept(store):
    """What is deleted or replaced makes room again."""
    half = b"x" * 2_000_000
    await store.put("a", text(half))
    await store.put("b", text(half))

    with pytest.raises(QuotaExceeded):
        await store.put("c", text(half))
    with pytest.raises(QuotaExceeded):
        await store.put("c", text(b""), Upload(size=len(half)))
    await store.put("a", text(b"small"))
    await store.put("c", text(half))
    await store.delete("b")
    await store.put("d", text(half))
    assert await names(store) == ["a", "c", "d"]


async def test_quota_of_files_is_kept(store):
    """One file too many is refused; another version of one is none too many."""
    for n in range(20):
        await store.put(f"{n:02}", text(b"x"))

    with pytest.raises(QuotaExceeded):
        await store.put("more", text(b"x"))
    await store.put("07", text(b"y"))
    await store.delete("03")
    await store.put("more", text(b"x"))


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_directory_is_listed_in_pages(store, limit):
    """Each name comes once, in order, files and directories together."""
    for path in ("b", "a/x", "a/y", "a.txt", "c/d/e", "Z", "é"):
        await store.put(path, text(b"x"))

    assert await names(store, "", limit) == ["Z", "a/", "a.txt", "b", "c/", "é"]
    assert await names(store, "a", limit) == ["x", "y"]
    assert await names(store, "c", limit) == ["d/"]


async def test_entry_tells_size_and_time(store):
    """What a listing says of a file is what its version says."""
    info = (await store.put("f", text(b"12345"))).info
    (entry,) = (await store.list("")).entries

    assert isinstance(entry, Entry)
    assert (entry.name, entry.size) == ("f", 5)
    assert entry.modified == pytest.approx(info.modified, abs=1.0)


async def test_names_keep_their_case_and_marks(store):
    """Names that differ in case are two; odd characters stay as they are."""
    odd = ["A", "a", 'say "hi"', "100%", "a+b&c=d?#", "~tilde", "x\N{GRINNING FACE}"]
    for name in odd:
        await stored_text(store, f"odd/{name}", name)

    assert await names(store, "odd") == sorted(odd)
    for name in odd:
        assert await read(store, f"odd/{name}") == name.encode()
