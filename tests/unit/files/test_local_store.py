"""Files on the local disk: what only a disk can do to them."""

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import stat
import threading

import pytest

from service.files.errors import (
    NoSpace,
    NotFound,
    PathConflict,
    QuotaExceeded,
    StoreUnavailable,
)
from service.files.local_store import Limits
from service.files.store import Directory, Upload
from tests.support.files import left_behind, local_store, read, stored_text, text


@pytest.fixture
async def store(tmp_path):
    async with local_store(tmp_path) as found:
        yield found


async def test_write_that_fails_leaves_nothing(store, tmp_path):
    """A disk that takes no more: the error says so, and the old file stays."""
    await stored_text(store, "f", "old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, hard))
    try:
        for path in ("f", "new/g"):
            with pytest.raises(NoSpace):
                await store.put(path, text(*[b"x" * 500_000] * 5))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)

    assert await read(store, "f") == b"old"
    assert [each.name for each in (await store.list("")).entries] == ["f"]
    assert left_behind(tmp_path / "root") == []


async def test_announced_size_above_the_free_space_is_refused(store):
    """Before a byte is written."""
    with pytest.raises(NoSpace):
        await store.put("f", text(b"x"), Upload(size=1 << 60))


async def test_directory_that_becomes_a_link_leads_nowhere(store, tmp_path):
    """Whatever is changed between two requests, or within one, nothing outside."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_text("secret")
    root = tmp_path / "root"
    await stored_text(store, "d/f", "mine")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (root / "d").rename(root / "real")
            # an upload may make a directory of this name at any moment in between
            with contextlib.suppress(FileExistsError, IsADirectoryError):
                (root / "d").symlink_to(outside)
                (root / "d").unlink()
            while (root / "real").exists():
                shutil.rmtree(root / "d", ignore_errors=True)
                with contextlib.suppress(OSError):
                    (root / "real").rename(root / "d")

    swapping = threading.Thread(target=swap)
    swapping.start()
    found = set()
    try:
        for n in range(300):
            try:
                found.add(await read(store, "d/f"))
                await stored_text(store, "d/f", "mine")
                await stored_text(store, f"d/g{n}", "mine")
            except (NotFound, PathConflict):
                found.add(b"")
            except StoreUnavailable as gone:  # the directory, amid an upload to it
                if not isinstance(gone.__cause__, FileNotFoundError):
                    raise
    finally:
        stop.set()
        swapping.join()

    assert found <= {b"mine", b""}
    assert [each.name for each in outside.iterdir()] == ["f"]
    assert (outside / "f").read_text() == "secret"


async def test_other_process_is_not_swept(store, tmp_path):
    """What somebody still writes stays; what nobody holds goes."""
    root = tmp_path / "root"
    (root / ".uploads/left.tmp").write_bytes(b"x")
    begun = asyncio.Event()

    async def slow():
        yield b"x" * 2_000_000
        begun.set()
        await asyncio.Event().wait()

    writing = asyncio.create_task(store.put("f", slow()))
    await begun.wait()
    async with local_store(tmp_path) as other:
        assert len(left_behind(root)) == 1
        assert other.used().files == 0
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert left_behind(root) == []


async def test_two_stores_of_one_root_agree(store, tmp_path):
    """Conditions, quotas and counts hold between processes: here two stores."""
    limits = Limits(file_bytes=1000, total_files=3)
    async with local_store(tmp_path, limits) as other:
        await stored_text(other, "a", "1")
        await stored_text(store, "b", "22")
        await stored_text(store, "c", "333")

        assert store.used() == other.used() == (6, 3)
        with pytest.raises(QuotaExceeded):
            await stored_text(other, "d", "4")
        await store.delete("b")
        await stored_text(other, "d", "4")


async def test_file_that_has_just_come_is_counted_once(tmp_path, monkeypatch):
    """While its directory is synced, others find the room that there is."""
    syncing, go_on = threading.Event(), threading.Event()
    synced = os.fsync

    def sync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            syncing.set()
            go_on.wait(60)
        synced(descriptor)

    limits = Limits(file_bytes=10, total_bytes=10)
    async with local_store(tmp_path, limits) as store:
        monkeypatch.setattr(os, "fsync", sync)
        putting = asyncio.create_task(stored_text(store, "f", "six..."))
        await asyncio.to_thread(syncing.wait, 60)
        try:
            store.check_room(4, 4)
            with pytest.raises(QuotaExceeded):
                store.check_room(5, 5)
        finally:
            go_on.set()
            await putting
        store.check_room(4, 4)


async def test_file_that_was_copied_here_is_served(store, tmp_path):
    """It has a strong tag that changes with it, and no digest that nobody knows."""
    path = tmp_path / "root/copied"
    path.write_bytes(b"one")
    first = await store.stat("copied")
    os.utime(path, ns=(1, 1))
    second = await store.stat("copied")

    assert first.digests == {}
    assert first.etag != second.etag
    assert await read(store, "copied") == b"one"


async def test_digest_is_not_told_of_changed_content(store, tmp_path):
    """A file that somebody writes into is another version, without a digest."""
    await stored_text(store, "f", "one")
    before = await store.stat("f")
    with (tmp_path / "root/f").open("r+b") as file:
        file.write(b"two")
    after = await store.stat("f")

    if before.digests:  # the file system keeps attributes
        assert after.digests == {}
    assert after.etag != before.etag


async def test_names_that_nobody_can_ask_for_are_not_listed(store, tmp_path):
    """They would only lead to errors; a directory of nothing else is not there."""
    root = tmp_path / "root"
    (root / "CON").write_text("x")
    (root / "bad.").mkdir()
    (root / "d").mkdir()
    (root / "d/a\nb").write_text("x")
    (root / os.fsdecode(b"\xff")).write_text("x")
    (root / "e").mkdir()
    (root / "e/f").write_text("x")

    page = await store.list("")
    assert Directory("e") in page.entries
    assert {each.name for each in page.entries} <= {"d", "e"}
    with pytest.raises(NotFound):
        await store.list("d")


async def test_file_under_a_file_and_over_a_directory_conflict(store):
    """A disk has one kind of thing at each name."""
    await stored_text(store, "a/f", "x")

    with pytest.raises(PathConflict):
        await stored_text(store, "a", "x")
    with pytest.raises(PathConflict):
        await stored_text(store, "a/f/g/h", "x")
    assert await read(store, "a/f") == b"x"


async def test_many_files_come_and_go_at_once(store, tmp_path):
    """Directories that are emptied while others are made in them: none is lost."""

    async def live(n: int) -> None:
        for turn in range(10):
            await stored_text(store, f"d/e/{n}", f"{n} {turn}")
            assert await read(store, f"d/e/{n}") == f"{n} {turn}".encode()
            await store.delete(f"d/e/{n}")

    await asyncio.gather(*map(live, range(8)))

    assert store.used() == (0, 0)
    assert [each.name for each in (tmp_path / "root").iterdir()] == [".uploads"]
