"""Files in a real object store: parts, races, pages, failures, what is left behind."""

import asyncio
import contextlib
import hashlib
import itertools
import os
import random
import time
from collections.abc import AsyncIterator, Callable

import pytest

from service.files.answers import problem_of
from service.files.conditions import Condition
from service.files.errors import (
    DigestMismatch,
    NotFound,
    PathConflict,
    PreconditionFailed,
    QuotaExceeded,
    StoreUnavailable,
    TooLarge,
)
from service.files.local_store import Limits
from service.files.s3_client import Bucket, opened_bucket
from service.files.s3_store import S3Store
from service.files.s3_sweep import sweep
from service.files.s3_upload import ObjectUpload, equal_parts, part_bytes
from service.files.store import Directory, Upload
from service.settings import S3Settings
from tests.support.certificates import Authority
from tests.support.files import read, stored_text, text
from tests.support.s3 import ACCESS_KEY, SECRET, s3_server

PART = part_bytes(0)
BIG = os.urandom(2 * PART + 1_000_000)
LIMITS = Limits(file_bytes=100_000_000)
NEW = Condition(none_match=("*",))

numbers = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture
async def bucket(server) -> AsyncIterator[Bucket]:
    """A part of the bucket that is this test's alone; nothing may be left of parts."""
    settings = server.settings(prefix=f"test-{next(numbers)}/deep/")
    async with opened_bucket(lambda: settings) as found:
        yield found
    assert server.parts_left() == []


@pytest.fixture
def store(bucket) -> S3Store:
    return S3Store(bucket, limits=lambda: LIMITS)


@contextlib.asynccontextmanager
async def store_of(settings: Callable[[], S3Settings]) -> AsyncIterator[S3Store]:
    async with opened_bucket(settings) as bucket:
        yield S3Store(bucket, limits=lambda: LIMITS)


async def pieces(content: bytes, size: int = 700_001) -> AsyncIterator[bytes]:
    """A body as it comes: in pieces that fit no part."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def listed(store: S3Store, path: str, limit: int) -> list[str]:
    found: list[str] = []
    after = ""
    while True:
        page = await store.list(path, after=after, limit=limit)
        assert len(page.entries) <= limit
        found += [f"{e.name}{'/' * isinstance(e, Directory)}" for e in page.entries]
        if not page.last:
            return found
        after = page.last


async def test_large_file_goes_in_parts_and_comes_back_whole(store, server):
    """Content, any range of it and its digest are those of what came."""
    put = await store.put("big/file", pieces(BIG))
    info = await store.stat("big/file")

    assert put.info.etag == info.etag
    assert "-3" in info.etag  # three parts
    assert info.size == len(BIG)
    assert await read(store, "big/file") == BIG
    for start, stop in [(PART - 3, PART + 3), (len(BIG) - 1, len(BIG)), (5, 6)]:
        assert await read(store, "big/file", start, stop) == BIG[start:stop]
    assert (server.root / "test-0/deep/big/file").exists()  # the key is the path


async def test_digest_that_was_announced_is_told_later(store):
    """One that was not can't be kept with an upload in parts; nothing false is told."""
    digest = {"sha-256": hashlib.sha256(BIG).digest()}
    await store.put("announced", pieces(BIG), Upload(digests=digest))
    put = await store.put("silent", pieces(BIG))

    assert put.info.digests == digest  # who sent it is told
    assert (await store.stat("announced")).digests == digest
    assert (await store.stat("silent")).digests == {}
    with pytest.raises(DigestMismatch):
        await store.put("announced", pieces(BIG[:-1]), Upload(digests=digest))
    assert await read(store, "announced") == BIG


async def test_large_upload_that_is_cut_leaves_no_part(store, server):
    """Neither a file nor parts that would be paid for."""

    async def cut() -> AsyncIterator[bytes]:
        async for piece in pieces(BIG):
            yield piece
        assert server.parts_left()  # there are some while it goes on
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await store.put("f", cut())
    assert await listed(store, "", 10) == []


async def test_large_upload_that_is_cancelled_leaves_no_part(store, server):
    """The abort goes out although its task is cancelled."""
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        async for piece in pieces(BIG):
            yield piece
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(store.put("f", endless()))
    await begun.wait()
    assert server.parts_left()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await listed(store, "", 10) == []


async def test_large_creations_at_once_one_gets_through(store):
    """The store itself refuses the others, at the end of their parts."""
    contents = [bytes([n]) * (PART + 10) for n in range(4)]
    results = await asyncio.gather(
        *(store.put("f", pieces(c), Upload(condition=NEW)) for c in contents),
        return_exceptions=True,
    )

    assert sum(isinstance(each, PreconditionFailed) for each in results) == 3
    assert await read(store, "f") in contents


@pytest.mark.parametrize("content", [b"mine", BIG], ids=["small", "large"])
async def test_version_that_changed_during_the_upload_is_kept(store, content):
    """Whoever was faster stays: the condition holds at the end."""
    old = (await store.put("f", text(b"old"))).info

    async def body() -> AsyncIterator[bytes]:
        async for piece in pieces(content):
            yield piece
        await store.put("f", text(b"theirs"))

    with pytest.raises(PreconditionFailed):
        await store.put("f", body(), Upload(condition=Condition(match=(old.etag,))))
    assert await read(store, "f") == b"theirs"
    now = (await store.stat("f")).etag
    said = Upload(condition=Condition(match=(now,)))
    assert not (await store.put("f", pieces(content), said)).created


async def test_file_and_directory_of_one_name_are_refused(store):
    """As on a disk: a path names one thing."""
    await store.put("a/b", text(b"x"))

    for path in ("a", "a/b/c", "a/b/c/d"):
        with pytest.raises(PathConflict):
            await store.put(path, text(b"y"))
    assert await listed(store, "a", 10) == ["b"]


async def test_file_that_is_replaced_while_it_is_read_ends_in_an_error(store):
    """Never with bytes of another version; a new download gets the new one."""
    await store.put("f", pieces(BIG))
    async with store.open("f") as file:
        await store.put("f", text(b"new"))
        with pytest.raises(StoreUnavailable, match="replaced"):
            await anext(file.chunks(0, file.info.size))

    assert await read(store, "f") == b"new"


async def test_replaced_version_is_read_to_its_end_where_old_ones_are_kept(tmp_path):
    """In a bucket with versions nobody's download is cut by an upload."""
    with s3_server(tmp_path, versions=True) as server:
        async with opened_bucket(server.settings) as bucket:
            async with bucket.asked() as client:
                await client.put_bucket_versioning(
                    Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"}
                )
            store = S3Store(bucket, limits=lambda: LIMITS)
            await store.put("f", text(b"old"))
            async with store.open("f") as file:
                await store.put("f", text(b"new"))
                assert b"".join([c async for c in file.chunks(0, 3)]) == b"old"
            await store.delete("f")
            with pytest.raises(NotFound):
                await store.stat("f")


@pytest.mark.parametrize("seed", range(3))
async def test_directory_is_listed_in_the_order_of_names(store, seed):
    """However keys sort: a directory is at its name's place, on whatever page."""
    chance = random.Random(seed)  # not for secrets
    names = {"a", "a-1", "a.txt", "a-1.b"} | {
        "a" + "".join(chance.choices("-.!ab", k=chance.randrange(5))) + "b"
        for _ in range(25)
    }
    expected = []
    for name in sorted(names):
        is_directory = chance.random() < 0.5
        expected.append(f"{name}/" if is_directory else name)
        await stored_text(store, f"d/{name}/x" if is_directory else f"d/{name}", "x")

    for limit in (1, 2, 7, 1000):
        assert await listed(store, "d", limit) == expected


async def test_directory_larger_than_an_answer_is_listed_whole(store, bucket, server):
    """S3 tells a thousand keys at a time, and `a/` behind all that begin with `a-`."""
    folder = server.root / bucket.prefix / "many"
    (folder / "a").mkdir(parents=True)
    names = [f"a-{n:05}" for n in range(2345)]
    for name in ["a/x", *names]:
        (folder / name).write_bytes(b"x")

    assert await listed(store, "many", 1000) == ["a/", *names]
    assert await listed(store, "many", 999) == ["a/", *names]


async def test_keys_that_no_client_can_say_are_not_listed(store, bucket):
    """Other programs may make any; they cost no page."""
    for key in ("a", "bad\\name", "con", "line\u2028", "z"):
        async with bucket.asked() as client:
            await client.put_object(
                Bucket=bucket.name, Key=f"{bucket.prefix}{key}", Body=b"x"
            )

    for limit in (1, 2, 100):
        assert await listed(store, "", limit) == ["a", "z"]


async def test_quota_knows_what_others_stored_once_it_counts(bucket):
    """And not before: between two counts each process knows its own files."""
    limits = Limits(file_bytes=1000, total_bytes=1000, total_files=3)
    one, other = (S3Store(bucket, limits=lambda: limits) for _ in range(2))
    with pytest.raises(StoreUnavailable, match="counted"):
        await one.put("f", text(b"x"))
    await one.usage.count(bucket)
    await other.usage.count(bucket)
    await one.put("f", text(b"x" * 600))
    await other.put("g", text(b"x" * 600))
    await one.usage.count(bucket)

    assert one.usage.used == (1200, 2)
    with pytest.raises(QuotaExceeded):
        await one.put("h", text(b"x"))


async def test_store_that_hangs_is_given_up_in_time(server):
    """The client's attempts and waits do not add up beyond the limit."""
    settings = server.settings(time_limit=1.0, read_timeout=20.0)
    async with store_of(lambda: settings) as store:
        await store.put("f", text(b"x"))
        server.pause()
        try:
            began = time.monotonic()
            for ask in (store.stat("f"), store.put("g", text(b"x")), store.list("")):
                with pytest.raises(StoreUnavailable):
                    await ask
            took = time.monotonic() - began
        finally:
            server.resume()

        assert took < 40  # three limits, on a busy machine; not three time-outs
        assert await read(store, "f") == b"x"


async def test_store_that_is_killed_is_used_again_when_it_is_back(tmp_path):
    """Errors while it is away, right answers after it, without a new client."""
    with s3_server(tmp_path) as server:
        settings = server.settings(time_limit=2.0)
        async with store_of(lambda: settings) as store:
            await store.put("f", pieces(BIG))
            file = await store.stat("f")
            server.kill()
            for ask in (store.stat("f"), store.put("f", text(b"x")), store.list("")):
                with pytest.raises(StoreUnavailable):
                    await ask
            server.start()

            assert await store.stat("f") == file
            assert await read(store, "f") == BIG


async def test_download_goes_on_when_the_store_comes_back(tmp_path):
    """A connection that breaks is another request for the rest of the same version."""
    with s3_server(tmp_path) as server:
        settings = server.settings()
        async with store_of(lambda: settings) as store:
            await store.put("f", pieces(BIG))
            found = b""
            async with store.open("f") as file:
                async for chunk in file.chunks(0, file.info.size):
                    if not found:
                        await asyncio.to_thread(server.kill)
                        await asyncio.to_thread(server.start)
                    found += chunk

    assert hashlib.sha256(found).digest() == hashlib.sha256(BIG).digest()


async def test_errors_tell_no_secret(server):
    """Neither a refused key nor a store that is away repeats what it was asked with."""
    wrong = "wrong-" + SECRET
    for settings in (
        server.settings(secret_access_key=wrong),
        server.settings(access_key_id="AKIAOTHER", secret_access_key=wrong),
        server.settings(endpoint="http://127.0.0.1:1", time_limit=2.0),
        server.settings(bucket="another"),
    ):
        async with store_of(lambda settings=settings: settings) as store:
            with pytest.raises(StoreUnavailable) as refused:
                await store.list("")
            told = f"{refused.value!r} {refused.value.__cause__!r} {settings!r}"
            assert SECRET not in told
            assert "AKIA" not in told


async def test_certificate_of_the_store_is_verified(tmp_path):
    """Only an authority that is believed makes it ours to talk to."""
    ours, other = Authority(), Authority()
    files = {}
    for name, authority in [("ours", ours), ("other", other)]:
        files[name] = tmp_path / f"{name}.pem"
        files[name].write_text(authority.pem)
    with s3_server(tmp_path, tls=ours.server().write(tmp_path)) as server:
        for ca_file in ("", str(files["other"])):
            settings = server.settings(ca_file=ca_file)
            async with store_of(lambda settings=settings: settings) as store:
                with pytest.raises(StoreUnavailable, match="SSLError"):
                    await store.list("")
        settings = server.settings(ca_file=str(files["ours"]))
        async with store_of(lambda: settings) as store:
            await store.put("f", pieces(BIG))
            assert await read(store, "f") == BIG


async def test_new_keys_are_used_without_a_restart(server):
    """They are asked for at each request."""
    keys = {"access_key_id": ACCESS_KEY, "secret_access_key": "old"}
    async with store_of(lambda: server.settings(**keys)) as store:
        with pytest.raises(StoreUnavailable):
            await store.put("f", text(b"x"))
        keys["secret_access_key"] = SECRET
        await store.put("f", text(b"x"))

        assert await read(store, "f") == b"x"


async def test_keys_of_the_environment_are_found(server, monkeypatch):
    """Without keys in the settings AWS's chain is asked."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    settings = server.settings(access_key_id=None, secret_access_key=None)
    async with store_of(lambda: settings) as store:
        await store.put("f", text(b"x"))

        assert await read(store, "f") == b"x"


async def test_parts_of_a_killed_process_are_swept_when_they_are_old(bucket, server):
    """Young ones may be another replica's, which goes on with them."""
    upload = ObjectUpload(bucket, bucket.key("f"), Condition())
    await upload.begin({})
    await upload.part(b"x" * PART)

    assert await sweep(bucket, age=3600) == 0
    assert server.parts_left()
    assert await sweep(bucket, age=-60) == 1
    assert server.parts_left() == []
    await upload.abort()  # nothing to do is no error


@pytest.mark.parametrize("rest", [b"another part", b""], ids=["part", "end"])
async def test_upload_whose_parts_somebody_removed_may_be_tried_again(
    store, bucket, rest
):
    """A 503 and nothing half there, whichever request finds the parts gone."""

    async def body() -> AsyncIterator[bytes]:
        yield BIG[: 2 * PART]
        assert await sweep(bucket, age=-60) == 1
        yield rest

    with pytest.raises(StoreUnavailable) as refused:
        await store.put("f", body())
    assert problem_of(refused.value).status == 503
    assert await listed(store, "", 10) == []


async def test_upload_whose_answer_was_lost_is_known_again(bucket):
    """The client repeats what it got no answer to, and finds its own file there."""
    upload = ObjectUpload(bucket, bucket.key("f"), NEW)
    known = {"sha-256": hashlib.sha256(b"x").digest()}
    first, _ = await upload.whole(b"x", known, None)
    again, replaced = await upload.whole(b"x", known, None)

    assert again == first
    assert replaced is None
    with pytest.raises(PreconditionFailed):
        await ObjectUpload(bucket, bucket.key("f"), NEW).whole(b"x", {}, None)


async def test_parts_are_equal_and_fit_into_memory(bucket):
    """All but the last: some stores refuse others."""
    content = os.urandom(10_000)
    for size in (1, 7, 999, 20_000):
        found = [part async for part in equal_parts(pieces(content, 333), size)]

        assert b"".join(found) == content
        assert {len(part) for part in found[:-1]} <= {size}
    assert part_bytes(10**11) * 10_000 >= 10**11
    assert part_bytes(10**18) < 100_000_000  # each upload holds one in memory
    store = S3Store(bucket, limits=lambda: Limits(file_bytes=10**18))
    with pytest.raises(TooLarge):
        await store.put("f", text(b""), Upload(size=10**12))
