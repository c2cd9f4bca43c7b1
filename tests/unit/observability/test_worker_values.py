"""The files of workers are found, merged, forgotten and cleaned."""

import os
import subprocess
import sys

import pytest

from service.observability.worker_values import (
    MULTIPROCESS_VARIABLE,
    WorkerValues,
    clean_multiprocess_dir,
    live_workers,
    mark_worker_dead,
    merged_families,
)

WORKER = """
from service.observability.worker_values import WorkerValues
values = WorkerValues()
values.value("gauge", ("open_things", "Open.")).set(2)
done = values.value("counter", ("done", "Done."), suffix="_total", labels={"a": "b"})
done.inc(3)
"""


@pytest.fixture
def worker(tmp_path):
    """Process id of a worker that has shared a gauge of 2 and a counter of 3."""
    environment = os.environ | {MULTIPROCESS_VARIABLE: str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", WORKER], env=environment) as process:
        assert process.wait(30) == 0
    return process.pid


def merged(directory) -> dict[str, float]:
    return {
        sample.name: sample.value
        for family in merged_families(directory)
        for sample in family.samples
    }


def test_shared_values_are_read_back(worker, tmp_path):
    """What a worker wrote is a family of the parent's."""
    assert merged(tmp_path) == {"open_things": 2, "done_total": 3}


def test_worker_is_live_until_it_is_marked_dead(worker, tmp_path):
    """Its gauges go, its counts stay."""
    assert live_workers(tmp_path) == {worker}

    mark_worker_dead(tmp_path, worker)

    assert live_workers(tmp_path) == set()
    assert merged(tmp_path) == {"done_total": 3}


def test_marking_a_worker_that_shared_nothing_is_no_error(tmp_path):
    """It may have died before its first metric."""
    mark_worker_dead(tmp_path, 4711)


def test_cleaning_leaves_other_files_alone(worker, tmp_path):
    """Only values go."""
    (tmp_path / "note.txt").touch()

    clean_multiprocess_dir(tmp_path)

    assert [each.name for each in tmp_path.iterdir()] == ["note.txt"]
    assert merged(tmp_path) == {}


def test_file_that_is_only_just_made_fails_no_scrape_for_good(worker, tmp_path):
    """An empty file is tried again, and in the end it is an error that shows."""
    empty = tmp_path / "counter_4711.db"
    empty.touch()
    with pytest.raises(Exception, match="unpack_from requires a buffer"):
        merged_families(tmp_path)
    empty.unlink()

    assert merged(tmp_path)["done_total"] == 3


def test_same_value_is_one_object():
    """Two objects for one place in the file would overwrite each other."""
    values = WorkerValues()
    first = values.value("counter", ("x", "X."), suffix="_total", labels={"a": "b"})
    again = values.value("counter", ("x", "X."), suffix="_total", labels={"a": "b"})
    other = values.value("counter", ("x", "X."), suffix="_total", labels={"a": "c"})

    assert first is again
    assert first is not other
