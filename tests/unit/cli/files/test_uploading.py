"""Uploads: whatever is lost on the way, what is there at the end is what was sent."""

import asyncio
import hashlib
import os
import tempfile
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.cli.files.service import Info, NoFile
from service.cli.files.sources import StreamSource
from service.cli.files.uploading import Uploads
from service.client.errors import UpstreamError, UpstreamUnavailable
from service.files.digests import digest_field
from service.getting.calling import Refused
from tests.support.virtual_time import VirtualLoop

LOST = UpstreamUnavailable("it broke", service="x", reason="broken")


def answer(status: int, **headers: str) -> SimpleNamespace:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(status=status, headers=named, attempts=1)


class Service:
    """
    A file server that loses what a test says.

    Args:
        faults: What happens to each call, in turn: `before` and `after` it is done it
            is lost, `part` of its content comes, it ends the service (`killed`), or it
            is refused with a status.
    """

    def __init__(self, *faults: str) -> None:
        self.caller = SimpleNamespace(ask=SimpleNamespace(url="http://x"))
        self.files: dict[str, bytes] = {}
        self.uploads: dict[str, bytes | None] = {}
        self._faults = iter(faults)

    async def call(self, method, path, *, content=b"", headers=None, repeat=None):
        fault, head = next(self._faults, ""), headers or {}
        if fault == "before":
            raise LOST
        if fault.isdigit():
            raise Refused(answer(int(fault)))
        if fault == "part" and head.get("upload-complete"):
            content, head = content[: len(content) // 2], head | {"upload-complete": ""}
        told = getattr(self, method.lower())(path, content, head)
        if fault == "killed" and head.get("upload-complete") == "?1":
            del self.uploads[path]
        if fault:
            raise LOST
        if told.status >= 400:
            raise Refused(told)
        return told

    async def info(self, path):
        if path not in self.files:
            raise NoFile(path)
        return self._info(path)

    def _info(self, path):
        found = self.files[path]
        digests = {"sha-256": hashlib.sha256(found).digest()}
        return Info(size=len(found), etag='"1"', digests=digests)

    def put(self, path, content, head):
        if "upload-complete" not in head:
            return self._stored(path, content)
        place = f"/upload/{len(self.uploads)}"
        self.uploads[place] = b""
        return answer(201, location=place)

    def _stored(self, path, content):
        self.files[path.removeprefix("/files/")] = content
        digests = {"sha-256": hashlib.sha256(content).digest()}
        return answer(201, etag='"1"', repr_digest=digest_field(digests))

    def patch(self, path, content, head):
        have = self.uploads.get(path)
        if path not in self.uploads:
            return answer(404)
        if have is None or int(head["upload-offset"]) != len(have):
            return answer(409)
        self.uploads[path] = have + content
        if head["upload-complete"] != "?1":
            return answer(204)
        self.uploads[path] = None
        return self._stored("x", have + content)

    def head(self, path, _content, _head):
        if path not in self.uploads:
            return answer(404)
        have = self.uploads[path]
        done = "?1" if have is None else "?0"
        return answer(204, upload_offset=str(len(have or b"")), upload_complete=done)

    def delete(self, path, _content, _head):
        self.uploads.pop(path, None)
        return answer(204)


class Known:
    """Bytes of which the digest is known before."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)
        self.digest = hashlib.sha256(data).digest()

    async def read(self, start: int, most: int) -> bytes:
        return self._data[start : start + most]


def put(service, source, *, retries=2):
    uploads = Uploads(service, retries=retries, replace=True)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(uploads.put("x", source, lambda _done, _all: None))


@contextmanager
def notes():
    """Give a folder where uploads are remembered."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", folder)
        yield folder


faults = st.lists(
    st.sampled_from(["", "", "", "before", "part", "after", "killed"]), max_size=12
)
sizes = st.sampled_from([0, 1, 1 << 20, (1 << 20) + 1, 3 << 20, (3 << 20) + 1])


@given(faults=st.lists(faults, max_size=3), size=sizes)
@settings(max_examples=100, deadline=None)
def test_upload_comes_to_its_end_whatever_is_lost(faults, size):
    """A command ends well or with the cut; a later one always gets there."""
    data = (b"0123456789abcde" * (size // 15 + 1))[:size]
    with notes() as folder:
        service = Service()
        for each in faults:
            service._faults = iter(each)
            with suppress(UpstreamError):
                assert put(service, Known(data)).info.size == size
                assert service.files == {"x": data}
        service._faults = iter(())
        kept = put(service, Known(data))

        left = [name for _, _, names in os.walk(folder) for name in names]
    assert kept.info.size == size
    assert service.files == {"x": data}
    assert left == []


@given(faults=faults, size=sizes)
@settings(max_examples=60, deadline=None)
def test_pipe_is_whole_at_the_service_or_not_there(faults, size):
    """It is read once, and what was lost of it is sent again."""
    data = (b"0123456789abcde" * (size // 15 + 1))[:size]
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        service = Service(*faults)
        with suppress(UpstreamError):
            assert put(service, StreamSource(file.fileno())).info.size == size
            assert service.files == {"x": data}
    assert service.files in ({}, {"x": data})


@pytest.mark.parametrize("there", [None, b"another"])
def test_file_that_went_since_an_upload_ended_is_sent_again(there):
    """The answer was lost, and nobody knew that it had ended."""
    data = bytes(2 << 20)
    with notes():
        service = Service("", "", "after")
        with suppress(UpstreamError):
            put(service, Known(data), retries=0)
        service.files = {} if there is None else {"x": there}
        service.uploads = dict.fromkeys(service.uploads)
        put(service, Known(data))
    assert service.files == {"x": data}


def test_upload_that_is_noted_nowhere_is_not_told_to_go_on(monkeypatch):
    """As where its user has no home, or the folder can't be written."""
    source = Known(bytes(2 << 20))
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 987_654)
    for folder in ("", "/dev/null/x"):
        monkeypatch.setenv("XDG_STATE_HOME", folder)
        uploads = Uploads(Service("", "before"), retries=0, replace=True)
        with pytest.raises(UpstreamUnavailable):
            asyncio.run(uploads.put("x", source, lambda _done, _all: None))
        assert not uploads.is_resumable("x", source)
    with notes():
        uploads = Uploads(Service("", "before"), retries=0, replace=True)
        with pytest.raises(UpstreamUnavailable):
            asyncio.run(uploads.put("x", source, lambda _done, _all: None))
        assert uploads.is_resumable("x", source)


@pytest.mark.parametrize("status", ["401", "403", "507"])
def test_upload_goes_on_after_a_refusal_that_others_can_end(status):
    """The service keeps the bytes; with a new token, or room, none is sent anew."""
    data = bytes(range(256)) * (3 << 12)
    with notes():
        service = Service("", "", status)
        with pytest.raises(Refused):
            put(service, Known(data))
        assert [len(each) for each in service.uploads.values()] == [1 << 20]
        put(service, Known(data))
    assert [*service.uploads.values()] == [None]
    assert service.files == {"x": data}


@pytest.mark.parametrize("status", ["401", "403", "413", "507"])
def test_refused_pipe_leaves_nothing_at_the_service(status):
    """Nobody could go on with it, and it would take the room of others for a day."""
    with tempfile.TemporaryFile() as file:
        file.write(bytes(3 << 20))
        file.seek(0)
        service = Service("", "", status)
        with pytest.raises(Refused):
            put(service, StreamSource(file.fileno()))
    assert service.uploads == {}


def test_upload_that_is_refused_for_good_leaves_nothing_at_the_service():
    """Its note is forgotten, so nobody could go on with it either."""
    with notes() as folder:
        service = Service("", "", "413")
        with pytest.raises(Refused):
            put(service, Known(bytes(3 << 20)))
        left = [name for _, _, names in os.walk(folder) for name in names]
    assert (service.uploads, left) == ({}, [])


def test_upload_that_is_noted_nowhere_leaves_nothing_at_the_service(monkeypatch):
    """No later command would find it."""
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null/x")
    service = Service("", "", "before")
    with pytest.raises(UpstreamUnavailable):
        put(service, Known(bytes(3 << 20)), retries=0)
    assert service.uploads == {}
