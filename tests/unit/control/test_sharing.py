"""The parent's file: workers follow it, and a new one has it at once."""

import pytest
from structlog.testing import capture_logs

from service.config import SettingsStore
from service.control.board import Switchboard
from service.control.sharing import Follower, StateFile
from service.control.state import ControlState, Fault, LevelOverride, ReadinessOff
from service.settings import Settings
from tests.support.waiting import fulfilled

STATE = ControlState(
    readiness=ReadinessOff(reason="drill"),
    faults=(
        Fault.model_validate_json(
            '{"id": "f", "expires_at": 4e9, "rate": 0.5, "seed": 3, "delay":'
            ' {"distribution": "pareto", "scale": 0.1, "shape": 2.5},'
            ' "scope": {"route": "/a*", "methods": ["GET"], "header": {"name": "x"}}}'
        ),
    ),
    levels=LevelOverride(level="debug", loggers={"a": "info"}, expires_at=4e9),
    reloads=2,
)


class Store:
    """Settings that count their reloads."""

    def __init__(self):
        self.reloads = 0

    def reload(self):
        self.reloads += 1

    def subscribe(self, _callback):
        return lambda: None


def worker(directory, store=None):
    board = Switchboard()
    part = Follower(
        board,
        store=store or SettingsStore.of(Settings()),
        on_reload=lambda _old, _new: None,
        file=StateFile(directory),
    )
    return board, part


def test_state_comes_back_as_it_was_written(tmp_path):
    """Every kind of value survives the file, and it is read once for each change."""
    reader = StateFile(tmp_path)
    before = reader.changed()
    StateFile(tmp_path).write(STATE)

    assert before is None
    assert reader.changed() == STATE
    assert reader.changed() is None
    assert [path.name for path in tmp_path.iterdir()] == ["control.json"]


async def test_worker_has_the_state_before_its_first_request(tmp_path):
    """What its predecessor injected goes on; it has loaded its settings itself."""
    StateFile(tmp_path).write(STATE)
    store = Store()
    board, part = worker(tmp_path, store)

    await part.start()
    await part.stop()

    assert board.state == STATE
    assert store.reloads == 0


def test_worker_follows_each_change(tmp_path):
    """Also when the parent takes everything back."""
    parent, (board, part) = StateFile(tmp_path), worker(tmp_path)

    parent.write(STATE)
    part.look()
    during = board.state
    parent.write(ControlState())
    part.look()

    assert during == STATE
    assert board.state == ControlState()


def test_worker_is_told_once_of_each_reload(tmp_path):
    """A change of something else is no reload."""
    parent, (_, part) = StateFile(tmp_path), worker(tmp_path)

    asked = []
    for reloads in (0, 1, 1, 2):
        parent.write(ControlState(reloads=reloads))
        asked.append(part.look())
    asked.append(part.look())

    assert asked == [False, True, False, True, False]


def test_process_that_leads_does_not_read_its_own_file(tmp_path):
    """The parent's state is the truth, whatever lies on disk."""
    board, part = worker(tmp_path)
    board.change(lambda state: state)
    StateFile(tmp_path).write(STATE)

    assert part.look() is False
    assert board.state == ControlState()


@pytest.mark.parametrize("content", ["", "{", '{"faults": 1}', '{"new": 1}'])
def test_file_that_is_no_state_is_told_and_changes_nothing(tmp_path, content):
    """A disk that lies does not take the faults away that were asked for."""
    board, part = worker(tmp_path)
    StateFile(tmp_path).write(STATE)
    part.look()
    (tmp_path / "new").write_text(content)
    (tmp_path / "new").replace(tmp_path / "control.json")

    with pytest.raises(ValueError, match="ControlState"):
        part.look()

    assert board.state == STATE
    assert part.look() is False


async def test_watch_goes_on_after_a_file_that_is_no_state(tmp_path):
    """It says so once, and follows the next good one."""
    board = Switchboard()
    part = Follower(
        board,
        store=Store(),
        on_reload=lambda _old, _new: None,
        file=StateFile(tmp_path),
        interval=0.001,
    )
    with capture_logs() as logs:
        await part.start()
        (tmp_path / "control.json").write_text("{")
        await fulfilled(lambda: logs)
        StateFile(tmp_path).write(STATE)
        await fulfilled(lambda: board.state == STATE)
        await part.stop()

    assert [line["event"] for line in logs] == ["control_state_unreadable"]
