"""When a flood of connections is over is noticed once, and nothing breaks by it."""

import gc

from service.server.memory import (
    FLOOD,
    after_the_flood,
    give_back,
    keep_large_blocks_apart,
)


def test_end_of_a_flood_is_told_once():
    """Not while it rises, not while much of it is there, not twice."""
    counts = [10, FLOOD, FLOOD * 4, FLOOD * 2, FLOOD // 2, 10, 0, 10, 0]
    now = iter(counts)
    over = after_the_flood(lambda: next(now))

    assert [over() for _ in counts] == [
        False, False, False, False, True, False, False, False, False,
    ]  # fmt: skip


def test_few_connections_are_no_flood():
    """Ordinary coming and going costs nothing."""
    now = iter([50, 0] * 10)
    over = after_the_flood(lambda: next(now))

    assert not any(over() for _ in range(20))


def test_memory_can_be_given_back_at_any_time():
    """Whatever the C library, and garbage is collected before."""
    circle = []
    circle.append(circle)
    keep_large_blocks_apart()
    gc.disable()
    try:
        del circle
        give_back()
    finally:
        gc.enable()

    assert gc.collect() == 0
