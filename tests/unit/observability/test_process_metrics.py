"""Several processes are reported as the one service that they are."""

import subprocess
import sys

import pytest

from service.observability.process_metrics import ProcessGroup

SPIN = "import time\nwhile time.process_time() < 1: pass\nprint(flush=True)\ninput()"


@pytest.fixture(scope="module")
def child():
    """A process that has used at least a second of CPU and waits."""
    with subprocess.Popen(
        [sys.executable, "-c", SPIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        yield process
        process.kill()


def values(group: ProcessGroup) -> dict[str, float]:
    return {each.name: each.samples[0].value for each in group.collect()}


def test_without_workers_it_is_this_process():
    """The families are those of the library's collector."""
    found = values(ProcessGroup(tuple))

    assert found["process_resident_memory_bytes"] > 1_000_000
    assert found["process_cpu_seconds"] > 0
    assert found["process_max_fds"] > 0


def test_workers_are_added(child):
    """CPU and memory are sums."""
    alone = values(ProcessGroup(tuple))
    found = values(ProcessGroup(lambda: [child.pid]))

    assert found["process_cpu_seconds"] >= alone["process_cpu_seconds"] + 0.9
    memory = "process_resident_memory_bytes"
    assert found[memory] > alone[memory]
    start = "process_start_time_seconds"
    assert found[start] == pytest.approx(alone[start])


def test_second_look_counts_no_cpu_twice(child):
    """A worker that lives is counted by what it has used so far."""
    group = ProcessGroup(lambda: [child.pid])
    first = values(group)["process_cpu_seconds"]

    assert first <= values(group)["process_cpu_seconds"] < first + 0.8


def test_cpu_of_a_worker_that_is_gone_stays_counted(child):
    """A counter that falls would look like a restart to Prometheus."""
    workers = [child.pid]
    group = ProcessGroup(lambda: workers)
    before = values(group)["process_cpu_seconds"]
    workers.clear()

    assert values(group)["process_cpu_seconds"] >= before
    assert values(group)["process_cpu_seconds"] < before + 0.8


def test_process_id_that_nobody_has_is_left_out():
    """A worker may end between the list and the look."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()

    assert values(ProcessGroup(lambda: [dead.pid]))["process_cpu_seconds"] > 0


def test_process_id_that_is_used_again_never_lowers_the_counter():
    """What the first process of that number used stays counted."""
    cpu = "process_cpu_seconds"
    group = ProcessGroup(tuple)
    group._count_cpu({7: 5.0})
    group._count_cpu({7: 1.0})

    assert values(group)[cpu] >= 6.0
