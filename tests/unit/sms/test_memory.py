"""Who got which notification."""

from service.sms.memory import FINISHED, MOST, UNFINISHED, Memory


class Bench:
    def __init__(self):
        self.now = 0.0
        self.memory = Memory(lambda: self.now)


def test_unfinished_notification_is_remembered_for_hours():
    """As long as a provider may be away."""
    bench = Bench()
    first = bench.memory.of("a")

    bench.now = UNFINISHED - 1
    assert bench.memory.of("a") is first
    bench.now = UNFINISHED
    assert bench.memory.of("a") is not first


def test_finished_notification_is_remembered_for_minutes():
    """Its repetition hours later is one that somebody wants."""
    bench = Bench()
    first = bench.memory.of("a")
    bench.memory.finish(first)

    bench.now = FINISHED - 1
    assert bench.memory.of("a") is first
    bench.memory.finish(first)
    bench.now = FINISHED
    again = bench.memory.of("a")

    assert again is not first
    assert again.nonce != first.nonce


def test_oldest_notification_is_forgotten_for_more():
    """The memory is bounded, and what is asked for again is not old."""
    bench = Bench()
    first, second = bench.memory.of("0"), bench.memory.of("1")
    for number in range(2, MOST):
        bench.memory.of(str(number))
    bench.memory.of("0")

    bench.memory.of("one more")

    assert bench.memory.of("0") is first
    assert bench.memory.of("1") is not second
