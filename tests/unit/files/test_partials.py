"""Uploads that wait, as two processes of one root see them."""

import os
import resource
import signal

import pytest

from service.files.counted import count_waiting
from service.files.digests import Hashing
from service.files.errors import NoSpace, NotFound
from service.files.partials import Held, Partials
from service.files.records import Record
from service.files.usage import UsageFile, Used


@pytest.fixture
def directory(tmp_path):
    found = os.open(tmp_path, os.O_RDONLY)
    yield found
    os.close(found)


@pytest.fixture
def usage(directory):
    return UsageFile(directory, "usage")


@pytest.fixture
def processes(directory, usage):
    return [Partials(directory, usage, most=lambda: 10) for _ in range(2)]


def begun(partials, content=b""):
    """An upload of which *content* has come; it is still to be closed."""
    partial = partials.create(Record(path="f"))
    partial.arrival.write(content, Hashing({}, always=()))
    return partial


def test_upload_that_another_process_has_is_let_go_of_when_it_is_told(processes):
    """It is told once, and the other has what came."""
    one, other = processes
    partial = begun(one, b"some")
    with pytest.raises(Held):
        other.open(partial.upload_id)
    other.want(partial.upload_id)

    assert [one.answer(partial.upload_id) for _ in range(2)] == [True, False]
    one.keep(partial)
    one.close(partial)
    taken = other.open(partial.upload_id)
    assert taken.arrival.size == 4
    other.close(taken)


def test_upload_that_another_process_finished_is_no_upload_any_more(
    processes, tmp_path
):
    """What has become a file is never written to."""
    one, other = processes
    partial = begun(one, b"all")
    (tmp_path / partial.arrival.name).rename(tmp_path / "f")
    with pytest.raises(NotFound):
        other.open(partial.upload_id)
    partial.arrival.name = ""
    one.complete(partial)
    one.close(partial)

    assert other.record(partial.upload_id).complete
    with pytest.raises(NotFound):
        other.open(partial.upload_id)


def test_quota_counts_what_is_told_of_an_upload_that_is_written(processes, directory):
    """And all of one that nobody has: from then on that is what was told."""
    one, other = processes
    partial = begun(one, b"four")
    before = count_waiting(directory, ".part")
    one.keep(partial)
    partial.arrival.write(b"more", Hashing({}, always=()))
    told = count_waiting(directory, ".part")
    one.close(partial)

    assert (before, told) == (0, 4)
    assert count_waiting(directory, ".part") == 8
    taken = other.open(partial.upload_id)
    assert (taken.arrival.size, taken.arrival.counted) == (8, 8)
    other.close(taken)


def test_upload_is_taken_off_the_quota_once_however_it_ends(processes, usage):
    """By what was told of it."""
    one, other = processes
    kept = begun(one, b"four")
    one.keep(kept)
    one.close(kept)
    thrown = begun(one, b"gone")
    one.keep(thrown)
    thrown.arrival.write(b"untold", Hashing({}, always=()))
    one.discard(thrown)

    assert usage.glance() == Used(4, 0)
    assert [each.expire(-1) for each in (other, one)] == [1, 0]
    assert usage.glance() == Used(0, 0)


def test_wish_that_nobody_answered_expires(processes, tmp_path):
    """Once its upload is gone."""
    one, _ = processes
    partial = begun(one)
    one.want(partial.upload_id)
    one.expire(-1)

    assert (tmp_path / f"{partial.upload_id}.wanted").exists()
    one.discard(partial)
    one.want(partial.upload_id)
    one.expire(-1)
    assert not (tmp_path / f"{partial.upload_id}.wanted").exists()


def test_record_that_can_not_be_written_leaves_nothing(processes, tmp_path):
    """A disk that takes no more: no half of a record stays on it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        with pytest.raises(NoSpace):
            processes[0].create(Record(path="f"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)

    assert list(tmp_path.iterdir()) == []


def test_half_a_record_of_a_killed_process_goes_with_its_upload(processes, tmp_path):
    """And expires by itself where there is no upload of it."""
    one, _ = processes
    partial = begun(one)
    for upload_id in (partial.upload_id, "0" * 32):
        (tmp_path / f"{upload_id}.json.new").write_text("{")
    one.expire(-1)

    assert list(tmp_path.glob("*.new")) == [tmp_path / f"{partial.upload_id}.json.new"]
    one.discard(partial)
    assert list(tmp_path.glob("*.new")) == []
