"""Uploads that go on after a cut, a restart and a mistake, through the real process."""

import contextlib
import os
import signal

import httpx2 as httpx
import pytest

from tests.support.files import left_behind, serving_files, settings, sha256
from tests.support.process import serving
from tests.support.resumable import PARTIAL, ResumableUpload
from tests.support.waiting import until

CONTENT = os.urandom(3_000_000)
HALF = 1_500_000
TYPES = "https://iana.org/assignments/http-problem-types#"


@pytest.fixture
def upload(file_service):
    return ResumableUpload(file_service.url, CONTENT)


def got(upload, path: str) -> httpx.Response:
    return httpx.get(f"{upload.base}/files/{path}")


def parts(file_service) -> list[str]:
    """The bytes that wait."""
    return [each for each in left_behind(file_service.root) if each.endswith(".part")]


def test_upload_that_is_cut_goes_on_where_it_was(file_service, upload):
    """An interim answer told where; what came before the cut is not sent again."""
    upload.begin_and_cut("cut.bin", size=HALF, root=file_service.root)
    offset = until(lambda: upload.state()[0])

    assert upload.interim["upload-draft-interop-version"] == "8"
    assert "max-size=5000000" in upload.interim["upload-limit"]
    assert 0 < offset <= HALF
    assert got(upload, "cut.bin").status_code == 404
    done = upload.append(offset)
    assert (done.status_code, done.headers["upload-complete"]) == (201, "?1")
    assert done.headers["location"] == "/files/cut.bin"
    assert got(upload, "cut.bin").content == CONTENT
    assert got(upload, "cut.bin").headers["etag"] == done.headers["etag"]
    assert upload.state() == (len(CONTENT), True)
    assert parts(file_service) == []


def test_parameters_make_no_upload_complete(upload):
    """A structured field may have some (RFC 9651): what is said stays said."""
    begun = upload.begin("f.bin", size=HALF, upload_complete="?0;now")

    assert (begun.status_code, begun.headers["upload-complete"]) == (201, "?0")
    assert got(upload, "f.bin").status_code == 404
    assert httpx.delete(upload.url).status_code == 204


def test_upload_in_parts_is_whole_at_its_end(upload):
    """Nothing is visible before the last part; each tells the offset behind it."""
    begun = upload.begin("parts.bin", upload_length=str(len(CONTENT)))

    assert begun.status_code == 201
    assert begun.headers["upload-complete"] == "?0"
    for offset in (0, 1_000_000, 2_000_000):
        answer = upload.append(offset, offset + 1_000_000)
        assert answer.status_code == 204
        assert answer.headers["upload-offset"] == str(offset + 1_000_000)
        assert upload.state() == (offset + 1_000_000, False)
    assert got(upload, "parts.bin").status_code == 404
    assert upload.append(len(CONTENT)).status_code == 201
    assert got(upload, "parts.bin").content == CONTENT


def test_upload_survives_a_killed_service(tmp_path):
    """What was acknowledged is there after kill -9; only the rest is sent."""
    with serving_files(tmp_path) as service:
        upload = ResumableUpload(service.url, CONTENT)
        upload.begin("f.bin", size=HALF, repr_digest=sha256(CONTENT))
        with upload.append_and_hold(HALF, size=700_000):
            service.signal(signal.SIGKILL)
            service.await_exit()
    with serving_files(tmp_path) as service:
        moved = ResumableUpload(service.url, CONTENT)
        moved.url = service.url + upload.url.removeprefix(upload.base)
        offset, complete = moved.state()

        assert HALF <= offset < len(CONTENT)
        assert not complete
        assert moved.resume().status_code == 201
        assert got(moved, "f.bin").content == CONTENT
        assert got(moved, "f.bin").headers["repr-digest"] == sha256(CONTENT)


def test_upload_of_a_stopped_service_goes_on_with_the_next(tmp_path):
    """A rollout in the middle of an upload costs it nothing but the time."""
    with serving(**settings(tmp_path), server__drain_delay=0) as service:
        upload = ResumableUpload(service.url, CONTENT)
        upload.begin("f.bin", size=HALF)
        service.signal(signal.SIGTERM)
        assert service.await_exit() == 0
    with serving_files(tmp_path) as service:
        moved = ResumableUpload(service.url, CONTENT)
        moved.url = service.url + upload.url.removeprefix(upload.base)
        assert moved.state() == (HALF, False)
        assert moved.resume().status_code == 201
        assert got(moved, "f.bin").content == CONTENT


def test_part_at_another_offset_is_refused(upload):
    """409 tells the offset that is right, and nothing changes."""
    upload.begin("f", size=HALF)
    answer = upload.append(HALF - 1)

    assert answer.status_code == 409
    assert answer.headers["upload-offset"] == str(HALF)
    assert answer.json()["type"] == TYPES + "mismatching-upload-offset"
    assert answer.json()["expected-offset"] == HALF
    assert upload.state() == (HALF, False)
    assert upload.resume().status_code == 201


def test_newer_request_takes_over_from_a_hanging_one(upload):
    """A client that comes back does not wait for the connection that it lost."""
    upload.begin("over.bin", size=HALF)
    with upload.append_and_hold(HALF, size=100_000) as lost:
        assert upload.state()[0] >= HALF
        assert upload.resume().status_code == 201
        with contextlib.suppress(ConnectionResetError):  # something was unread
            assert lost.recv(1000) == b""
    assert got(upload, "over.bin").content == CONTENT


def test_upload_that_is_given_up_is_gone(file_service, upload):
    """DELETE leaves nothing, and the upload is known no more."""
    upload.begin("f2", size=HALF)

    assert httpx.delete(upload.url).status_code == 204
    assert httpx.head(upload.url).status_code == 404
    assert httpx.delete(upload.url).status_code == 404
    assert upload.append(HALF).status_code == 404
    assert got(upload, "f2").status_code == 404
    assert parts(file_service) == []


def test_lengths_that_disagree_are_refused(upload):
    """Whether said by Upload-Length or by the content itself."""
    refused = upload.begin("f3", size=10, upload_length="5")

    assert refused.status_code == 400
    assert refused.json()["type"] == TYPES + "inconsistent-upload-length"
    upload.begin("f3", size=10, upload_length="50")
    assert upload.append(10, 20, upload_length="51").status_code == 400
    assert upload.append(10).status_code == 400
    assert upload.append(10, 60).status_code == 400
    assert got(upload, "f3").status_code == 404


def test_digest_of_the_whole_is_verified_at_the_end(file_service, upload):
    """Another content than was announced: 400, and nothing is kept."""
    upload.begin("f4", size=HALF, repr_digest=sha256(b"other"))
    answer = upload.append(HALF)

    assert answer.status_code == 400
    assert answer.headers["upload-complete"] == "?1"
    assert got(upload, "f4").status_code == 404
    assert parts(file_service) == []


def test_part_with_another_digest_is_not_kept(upload):
    """The offset is the one before it, and the right part is taken."""
    upload.begin("f5", size=HALF)
    wrong = upload.append(HALF, HALF + 1000, content_digest=sha256(b"other"))

    assert wrong.status_code == 400
    assert upload.state() == (HALF, False)
    right = upload.append(HALF, content_digest=sha256(CONTENT[HALF:]))
    assert right.status_code == 201
    assert got(upload, "f5").content == CONTENT


def test_conditions_hold_at_the_begin_and_at_the_end(upload):
    """A file that came in between is not replaced by who wanted to create one."""
    assert upload.begin("f6", size=HALF, if_none_match="*").status_code == 201
    httpx.put(f"{upload.base}/files/f6", content=b"first")
    answer = upload.append(HALF)

    assert (answer.status_code, answer.headers["upload-complete"]) == (412, "?1")
    assert got(upload, "f6").content == b"first"
    assert upload.begin("f6", if_none_match="*").status_code == 412


def test_post_of_a_file_that_is_there_is_409(upload):
    """Begun or sent whole: nobody wrote a condition that could have failed."""
    httpx.put(f"{upload.base}/files/there", content=b"first")
    for complete in ("?0", "?1"):
        answer = httpx.post(
            f"{upload.base}/files/?name=there",
            content=CONTENT,
            headers={"upload-complete": complete},
        )
        assert answer.status_code == 409
    assert got(upload, "there").content == b"first"


def test_upload_above_the_limit_is_413(file_service, upload):
    """Announced: at once. Else: when it is too long, and it can't go on."""
    assert upload.begin("f7", upload_length="5000001").status_code == 413
    upload.content = b"x" * 6_000_000
    upload.begin("f7", size=3_000_000)
    assert upload.append(3_000_000).status_code == 413
    assert parts(file_service) == []


def test_requests_that_are_no_parts_are_refused(upload):
    """Each is told what is missing."""
    upload.begin("f8", size=HALF)
    kind = {"content-type": PARTIAL}
    said = {**kind, "upload-offset": str(HALF), "upload-complete": "?1"}

    def status(**headers: str) -> int:
        changed = {**said, **{k.replace("_", "-"): v for k, v in headers.items()}}
        return httpx.patch(upload.url, content=b"x", headers=changed).status_code

    assert status(content_type="text/plain") == 415
    assert status(upload_offset="x") == 400
    assert status(upload_complete="1") == 400
    assert httpx.get(upload.url).status_code == 400
    for upload_id in ("0" * 32, "x", "usage"):
        url = f"{upload.base}/files/.uploads/{upload_id}"
        assert httpx.head(url).status_code == 404
        assert httpx.patch(url, content=b"x", headers=said).status_code == 404
    httpx.delete(upload.url)


def test_completed_upload_takes_nothing_more(upload):
    """400 of its own type."""
    upload.begin("f9", size=HALF)
    upload.append(HALF)
    answer = upload.append(len(CONTENT))

    assert answer.status_code == 400
    assert answer.json()["type"] == TYPES + "completed-upload"


def test_limits_are_told_before_an_upload(file_service):
    """OPTIONS names the media type of parts and the limits."""
    answer = httpx.options(f"{file_service.url}/files/any")

    assert answer.status_code == 204
    assert answer.headers["accept-patch"] == PARTIAL
    assert answer.headers["upload-limit"].startswith("max-size=5000000, max-age=")


def test_uploads_that_nobody_goes_on_with_are_removed(tmp_path):
    """After their time, counted from the last byte, and at the start at the latest."""
    with serving_files(tmp_path) as service:
        upload = ResumableUpload(service.url, CONTENT)
        upload.begin("f", size=HALF)
        service.signal(signal.SIGKILL)
        service.await_exit()
    assert left_behind(tmp_path) != []
    for each in (tmp_path / ".uploads").iterdir():
        os.utime(each, (0, 0))
    with serving_files(tmp_path) as service:
        assert left_behind(tmp_path) == []
        assert service.events("uploads_expired")[0]["uploads"] == 1
        assert service.events("files_opened")[0]["bytes"] == 0


def test_uploads_that_wait_count_against_the_limits(tmp_path):
    """Their number and their bytes: 507 for what is more, until one ends."""
    limits = {"max_stopped_uploads": 1, "quota_bytes": 2_000_000}
    with serving_files(tmp_path, **limits) as service:
        upload = ResumableUpload(service.url, CONTENT[:HALF])
        upload.begin("f", size=1_000_000)
        other = ResumableUpload(service.url, CONTENT)

        assert other.begin("g").status_code == 507
        url = f"{service.url}/files/h"
        assert httpx.put(url, content=CONTENT[:1_100_000]).status_code == 507
        assert upload.resume().status_code == 201
        assert other.begin("g").status_code == 201
        assert httpx.put(url, content=CONTENT[:500_000]).status_code == 201
