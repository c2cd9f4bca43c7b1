"""Of a flood a few lines are written, and the number of the others is never lost."""

import threading
from collections import Counter

import pytest

from service.observability.log_sampler import KEYS, Flood, Sampler
from service.settings import SamplingSettings
from tests.support.clock import Clock

KEY = ("info", "a", "told")


def sampler(clock: Clock, **settings: object) -> Sampler:
    """A sampler on a clock that the test moves."""
    return Sampler(SamplingSettings.model_validate(settings), clock=clock)


def test_first_and_every_mth_line_of_a_second_are_written():
    """Two, then every third; the count of those between goes with the next one."""
    asked = sampler(Clock(), first=2, then_every=3)

    assert [asked.ask("info", KEY) for _ in range(9)] == [
        0, 0, None, None, 2, None, None, 2, None,
    ]  # fmt: skip


def test_next_second_begins_anew_and_tells_the_rest():
    """The first line of the next second carries what the last one left out."""
    clock = Clock()
    asked = sampler(clock, first=1, then_every=0)
    assert [asked.ask("info", KEY) for _ in range(3)] == [0, None, None]

    clock.now += 1.0

    assert [asked.ask("info", KEY) for _ in range(3)] == [2, None, None]


def test_flood_that_ends_is_told_after_a_quiet_second():
    """Not while it may go on, and only once."""
    clock = Clock()
    asked = sampler(clock, first=1, then_every=0)
    for _ in range(4):
        asked.ask("info", KEY)
    clock.now += 1.9
    assert asked.ended() == []

    clock.now += 0.1

    assert asked.ended() == [Flood(KEY, 3)]
    assert asked.ended(all_of_them=True) == []


def test_keys_and_levels_do_not_count_together():
    """A rare line is not lost in the flood of another one."""
    asked = sampler(Clock(), first=1, then_every=0)
    for _ in range(5):
        asked.ask("info", KEY)

    assert asked.ask("info", ("info", "b", "told")) == 0
    assert asked.ask("info", ("info", "a", "other")) == 0


def test_level_that_is_not_sampled_is_always_written():
    """Warnings and errors are written, unless they are chosen too."""
    clock = Clock()
    asked = sampler(clock, first=1, then_every=0)
    error = ("error", "a", "failed")
    assert [asked.ask("error", error) for _ in range(3)] == [0, 0, 0]

    asked.adapt(SamplingSettings(first=1, then_every=0, levels=["error"]))

    assert [asked.ask("error", error) for _ in range(3)] == [0, None, None]
    assert [asked.ask("info", KEY) for _ in range(3)] == [0, 0, 0]


def test_switched_off_it_writes_all_and_still_tells_what_was_left_out():
    """A live change loses no count."""
    asked = sampler(Clock(), first=1, then_every=0)
    for _ in range(3):
        asked.ask("info", KEY)

    asked.adapt(SamplingSettings(first=0))

    assert [asked.ask("info", KEY) for _ in range(3)] == [0, 0, 0]
    assert asked.ended(all_of_them=True) == [Flood(KEY, 2)]


def test_line_that_is_asked_while_it_is_switched_off_is_written():
    """Nobody would tell it any more, were it left out then."""
    clock = Clock()
    asked = sampler(clock, first=1, then_every=0)
    asked.ask("info", KEY)

    def off() -> float:
        asked.adapt(SamplingSettings(first=0))
        return clock.now

    asked.clock = off

    assert asked.ask("info", KEY) == 0


def test_lines_without_room_for_their_key_count_together():
    """A flood of ever new events is bounded in memory, and a flood all the same."""
    clock = Clock()
    asked = sampler(clock, first=1, then_every=0)
    written = sum(
        asked.ask("info", ("info", "a", f"event {n}")) is not None
        for n in range(3 * KEYS)
    )
    clock.now += 2.0

    assert written == KEYS + 1
    assert asked.ended() == [Flood(("info",), 2 * KEYS - 1)]
    assert asked.ask("info", KEY) == 0


def test_what_is_left_out_is_counted_by_level():
    """The count is handed over once."""
    levels = ["debug", "info"]
    asked = sampler(Clock(), first=1, then_every=0, levels=levels)
    for level in ("debug", "info", "info"):
        for _ in range(3):
            asked.ask(level, (level, "a", "told"))

    assert asked.take_left_out() == {"debug": 2, "info": 5}
    assert asked.take_left_out() == Counter()


@pytest.mark.parametrize("every", [0, 7])
def test_threads_lose_no_line(every):
    """Written and left out are all that were asked, whichever threads ask."""
    asked = sampler(Clock(), first=10, then_every=every)
    written = [0] * 4
    told = [0] * 4

    def ask(number: int) -> None:
        for _ in range(5000):
            dropped = asked.ask("info", KEY)
            if dropped is not None:
                written[number] += 1
                told[number] += dropped

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    rest = sum(each.dropped for each in asked.ended(all_of_them=True))

    assert sum(written) == 10 + (20_000 - 10) // every if every else 10
    assert sum(written) + sum(told) + rest == 20_000
