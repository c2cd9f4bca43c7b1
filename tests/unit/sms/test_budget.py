"""The most messages in an hour."""

from service.sms.budget import Budget


class Bench:
    def __init__(self, limit):
        self.now = 0.0
        self.limit = limit
        self.budget = Budget(lambda: self.limit, clock=lambda: self.now)

    def take(self, seconds=0.0):
        self.now += seconds
        return self.budget.take()


def test_no_hour_has_more_than_the_limit():
    """The window slides: a message makes room an hour after it was sent."""
    bench = Bench(2)

    assert [bench.take(), bench.take(1000), bench.take(1000)] == [0, 0, 1600]
    assert [bench.take(1599), bench.take(1), bench.take()] == [1, 0, 1000]


def test_message_that_was_not_sent_makes_room():
    """A provider that is away does not use the hour up."""
    bench = Bench(1)
    bench.take()

    bench.budget.give_back()

    assert [bench.take(), bench.take()] == [0, 3600]


def test_limit_that_is_lowered_counts_at_once():
    """The wait is the one until enough have left the window."""
    bench = Bench(3)
    for _ in range(3):
        bench.take(100)

    bench.limit = 1

    assert bench.take(100) == 3500


def test_nothing_to_give_back_is_no_error():
    """Two failures of one message can't happen, and would break nothing."""
    Bench(1).budget.give_back()
