"""One timer looks after all connections, and one clock dates what a turn reads."""

import pytest

from service.server.guard import SWEEP, Guard
from service.server.limits import Limits
from tests.support.memory_connection import Counts


class Loop:
    """Keeps what it is asked to call, until told to."""

    def __init__(self) -> None:
        self.soon: list = []
        self.later: list = []

    def call_soon(self, call, *args) -> None:
        self.soon.append((call, args))

    def call_later(self, seconds, call, *args) -> object:
        self.later.append((seconds, call, args))
        return object()

    def turn(self) -> None:
        due, self.soon = self.soon, []
        for call, args in due:
            call(*args)

    def pass_time(self) -> None:
        due, self.later = self.later, []
        for _, call, args in due:
            call(*args)


class Connection:
    """Keeps the looks at it."""

    def __init__(self, then=lambda: None) -> None:
        self.looks: list = []
        self.then = then

    def check(self, now, limits) -> None:
        self.looks.append((now, limits))
        self.then()

    def shutdown(self) -> None:
        """End."""


@pytest.fixture
def loop():
    return Loop()


def test_each_connection_is_looked_at_in_each_sweep(loop):
    """With one timer for all, and the limits of that moment."""
    limits = [Limits(), Limits(idle_timeout=1)]
    guard = Guard(lambda: limits[0])
    connections = [Connection(), Connection()]
    for each in connections:
        guard.opened(each, loop)
    assert [seconds for seconds, *_ in loop.later] == [SWEEP]

    limits.pop(0)
    loop.pass_time()

    assert len(loop.later) == 1
    for each in connections:
        assert each.looks[-1][1].idle_timeout == 1
    assert connections[0].looks[-1] == connections[1].looks[-1]


def test_sweep_ends_with_the_last_connection_and_begins_with_the_next(loop):
    """An idle server has no timer."""
    guard = Guard()
    first, second = Connection(), Connection()
    guard.opened(first, loop)
    guard.lost(first)
    loop.pass_time()
    assert loop.later == []

    guard.opened(second, loop)
    loop.pass_time()

    assert second.looks
    assert len(loop.later) == 1


def test_connection_that_ends_during_the_sweep_disturbs_nobody(loop):
    """Sets that change are walked by a copy."""
    guard = Guard()
    first = Connection(lambda: guard.lost(first))
    second = Connection(lambda: guard.lost(second))
    for each in (first, second):
        guard.connections.add(each)

    guard.opened(Connection(), loop)

    assert first.looks
    assert second.looks


def test_sweep_renews_the_date(loop, monkeypatch):
    """Once a second, not with each answer."""
    guard = Guard()
    for seconds, date in ((0.0, b"00:00:00"), (0.9, b"00:00:00"), (61.0, b"00:01:01")):
        monkeypatch.setattr("time.time", lambda seconds=seconds: 86_400 + seconds)
        guard.opened(Connection(), loop) if not guard.connections else loop.pass_time()

        assert guard.heads.date == b"date: Fri, 02 Jan 1970 " + date + b" GMT"


def test_batch_begins_once_in_a_turn_of_the_loop(loop):
    """What is read later in the turn has waited since its begin."""
    guard = Guard()
    first = guard.batch_began(loop)
    assert guard.batch_began(loop) == first
    assert len(loop.soon) == 1

    loop.turn()

    assert guard.batch_began(loop) > first


def test_what_happens_is_counted(loop):
    """Open and lost, by whoever wants to know; or by nobody."""
    counts = Counts()
    guard, silent = Guard(observer=counts), Guard()
    connection = Connection()
    guard.opened(connection, loop)
    assert counts.open == 1
    guard.lost(connection)

    assert counts.open == 0
    for count in (silent.observer.refused, silent.observer.closed):
        count("x")
    silent.observer.drained()


def test_shared_sets_are_those_of_the_server(loop):
    """uvicorn sees the same connections and tasks."""
    guard, connections, tasks = Guard(), set(), set()
    guard.share(connections, tasks)
    connection = Connection()

    guard.opened(connection, loop)

    assert connections == {connection}
    assert guard.tasks is tasks
