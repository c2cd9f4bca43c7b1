"""Files of two processes that share a root: any of them answers any request."""

import itertools
import threading

import httpx2 as httpx
import pytest

from tests.support.files import CONTENT, left_behind, serving_files
from tests.support.resumable import ResumableUpload
from tests.support.waiting import until

LARGE = CONTENT * 20
"""More than is gathered before it is written."""


@pytest.fixture(scope="module")
def replicas(tmp_path_factory):
    root = tmp_path_factory.mktemp("files")
    with serving_files(root) as one, serving_files(root) as other:
        yield one, other


def begun(service, path, content, *, size):
    """An upload whose first *size* bytes are there."""
    upload = ResumableUpload(service.url, content)
    assert upload.begin(path, size=size).status_code == 201
    return upload


def at(service, upload):
    """The same upload, with requests that go to another service."""
    other = ResumableUpload(service.url, upload.content)
    other.url = service.url + upload.url.removeprefix(upload.base)
    return other


def held(service, upload, offset, *, size):
    """A request that sends *size* bytes, some of which are there, and then no more."""
    connection = upload.append_and_hold(offset, size=size)
    name = f"{upload.url.rpartition('/')[2]}.part"
    part = service.root / ".uploads" / name
    until(lambda: part.stat().st_size > offset)
    return connection


def is_ended(connection):
    """Whether nothing comes any more."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def unfinished(service):
    return [each for each in left_behind(service.root) if not each.endswith(".json")]


def test_upload_goes_on_at_the_other_replica_with_each_request(replicas):
    """The file is whole, and both know that the upload is."""
    upload = begun(replicas[0], "in-turns", CONTENT, size=1000)
    turns = itertools.cycle([at(each, upload) for each in reversed(replicas)])
    for offset in range(1000, len(CONTENT), 20_000):
        assert next(turns).state() == (offset, False)
        stop = offset + 20_000
        answer = next(turns).append(offset, stop if stop < len(CONTENT) else None)
        assert answer.is_success

    assert [next(turns).state() for _ in replicas] == [(len(CONTENT), True)] * 2
    assert httpx.get(f"{replicas[1].url}/files/in-turns").content == CONTENT
    assert unfinished(replicas[0]) == []


def test_upload_goes_on_at_another_replica_while_the_first_waits_for_it(replicas):
    """A cut that no packet tells: the request before is ended, wherever it is."""
    upload = begun(replicas[0], "cut", LARGE, size=10)
    with held(replicas[0], upload, 10, size=1_500_000) as first:
        answer = at(replicas[1], upload).resume()

        assert answer.status_code == 201
        assert is_ended(first)
    assert httpx.get(f"{replicas[0].url}/files/cut").content == LARGE
    assert unfinished(replicas[0]) == []


def test_upload_is_cancelled_at_another_replica_while_the_first_waits_for_it(replicas):
    """Neither knows it any more, and nothing of it is left."""
    upload = begun(replicas[0], "given-up", LARGE, size=10)
    with held(replicas[0], upload, 10, size=1_500_000) as first:
        answer = httpx.delete(at(replicas[1], upload).url)

        assert answer.status_code == 204
        assert is_ended(first)
    known = [httpx.head(at(each, upload).url).status_code for each in replicas]
    assert known == [404, 404]
    assert unfinished(replicas[0]) == []


def test_upload_that_a_replica_finishes_is_always_known_to_the_other(replicas):
    """While it becomes a file the other waits for its end, and never says 404."""
    seen = []
    for number in range(20):
        content = bytes([number]) * 2_000_000
        upload = begun(replicas[0], f"finished-{number}", content, size=len(content))
        other = at(replicas[1], upload)
        asking = threading.Thread(target=lambda each=other: seen.append(each.state()))
        asking.start()
        answer = upload.append(len(content))
        asking.join()

        assert answer.status_code == 201
        assert other.state() == (len(content), True)
    assert {size for size, _ in seen} == {2_000_000}
    assert len(seen) == 20
    assert unfinished(replicas[0]) == []


QUOTA = {"quota_bytes": len(LARGE) + 1_000_000}


def fits(service, size):
    """Whether there is room for another file."""
    return httpx.put(f"{service.url}/files/more", content=bytes(size)).is_success


def test_quota_stays_right_when_a_replica_starts_amid_an_upload(tmp_path):
    """What has come of it is counted once, though another process counts all anew."""
    with serving_files(tmp_path, **QUOTA) as one:
        upload = begun(one, "amid", LARGE, size=10)
        with held(one, upload, 10, size=1_500_000):
            with serving_files(tmp_path, **QUOTA) as other:
                assert at(other, upload).resume().status_code == 201
                assert fits(other, 990_000)
                assert not fits(one, 1_010_000)


def test_quota_stays_right_when_a_replica_is_killed_amid_an_upload(tmp_path):
    """Who goes on with it counts what the other has not told."""
    with serving_files(tmp_path, **QUOTA) as one:
        with serving_files(tmp_path, **QUOTA) as killed:
            upload = begun(killed, "amid", LARGE, size=10)
            with held(killed, upload, 10, size=1_500_000):
                killed.process.kill()
                killed.await_exit()
        assert at(one, upload).resume().status_code == 201
        assert not fits(one, 1_010_000)
        assert fits(one, 990_000)


def test_uploads_at_once_are_never_more_than_the_quota_together(tmp_path):
    """Each is told of what the others have, at the same replica or another."""
    with (
        serving_files(tmp_path, **QUOTA) as one,
        serving_files(tmp_path, **QUOTA) as two,
    ):
        first = begun(one, "first", LARGE, size=10)
        with held(one, first, 10, size=1_500_000):
            for service in (one, two):
                more = begun(service, "more", LARGE, size=0)
                refused = more.append(0, len(LARGE) - 1)
                waiting = (tmp_path / ".uploads").glob("*.part")

                assert refused.status_code == 507
                assert (
                    sum(each.stat().st_size for each in waiting)
                    <= len(LARGE) + 1_000_000
                )
                assert httpx.delete(more.url).status_code == 204
        assert first.resume().status_code == 201
        assert not fits(one, 1_010_000)
        assert fits(two, 990_000)
