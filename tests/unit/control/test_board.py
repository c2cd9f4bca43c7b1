"""The switchboard: changes are swapped, told, and end by the clock."""

import pytest
from structlog.testing import capture_logs

from service.control.board import Switchboard
from service.control.state import ControlState, Fault, LevelOverride, ReadinessOff


class Bench:
    def __init__(self):
        self.now = 1000.0
        self.published = []
        self.told = []
        self.board = Switchboard(publish=self.published.append, clock=lambda: self.now)
        self.board.listen(lambda old, new: self.told.append((old, new)))

    def put(self, **values):
        self.board.change(lambda state: state.model_copy(update=values))


def fault(name, end):
    return Fault(id=name, status=503, expires_at=end)


def test_change_is_published_and_told():
    """Listeners get the state before and after; readers the new one."""
    bench = Bench()
    off = ReadinessOff(reason="drill")

    bench.put(readiness=off)

    assert bench.board.state.readiness == off
    assert bench.published == [bench.board.state]
    assert bench.told == [(ControlState(), bench.board.state)]


def test_change_that_fails_changes_nothing():
    """Nothing is half done, and nobody is told."""
    bench = Bench()

    def fails(state):
        raise LookupError

    with pytest.raises(LookupError):
        bench.board.change(fails)

    assert bench.board.state == ControlState()
    assert bench.published == bench.told == []


def test_each_thing_ends_at_its_own_time():
    """What has an end is gone after it; what has none stays."""
    bench = Bench()
    bench.put(
        faults=(fault("first", 1010.0), fault("second", 1020.0)),
        readiness=ReadinessOff(reason="", expires_at=1015.0),
        levels=LevelOverride(level="debug"),
    )

    left = []
    with capture_logs() as logs:
        for now in (1009.9, 1010.0, 1015.0, 1020.0, 9e9):
            bench.now = now
            bench.board.expire()
            state = bench.board.state
            ids = [each.id for each in state.faults]
            left.append((ids, state.readiness is None, state.levels is None))

    assert left == [
        (["first", "second"], False, False),
        (["second"], False, False),
        (["second"], True, False),
        ([], True, False),
        ([], True, False),
    ]
    assert len(bench.published) == 4
    assert [(line["event"], line["what"]) for line in logs] == [
        ("control_expired", "fault"),
        ("control_expired", "readiness"),
        ("control_expired", "fault"),
    ]
    assert {line["log_level"] for line in logs} == {"warning"}


def test_follower_ends_things_without_a_word():
    """The process that began it logs its end; a worker neither logs nor publishes."""
    bench = Bench()
    bench.board.follow(ControlState(faults=(fault("f", 1010.0), fault("g", 999.0))))
    taken = bench.board.state.faults

    bench.now = 1011.0
    with capture_logs() as logs:
        bench.board.expire()

    assert [each.id for each in taken] == ["f"]
    assert bench.board.state.faults == ()
    assert bench.published == logs == []
    assert not bench.board.leads
