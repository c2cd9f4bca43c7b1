"""Where a consumer is, while servers give what they know."""

import pytest

from service.commitlog import Record
from service.commitlog.errors import LogUnreachable, OffsetOutOfRange
from service.log_client.errors import CallFailed
from service.log_client.following import Place


def records(*offsets):
    return [Record(b"", offset=each) for each in offsets]


def test_records_that_came_before_are_left_out():
    """A stream that began again may repeat some."""
    place = Place(3)
    place.take(records(3, 4))

    assert place.take(records(4, 5)) == records(5)
    assert place.next == 6


def test_gap_is_refused():
    """What a server leaves out must not go unseen."""
    place = Place(3)

    with pytest.raises(CallFailed, match="offset 5 came in the place of 4"):
        place.take(records(3, 5))


def test_server_that_lags_behind_is_asked_again_for_a_while():
    """Another one gave the record before; in the end it is the answer."""
    place, end = Place(3), OffsetOutOfRange(4, lowest=0, next_offset=3)
    place.take(records(3))
    judged = [place.judged(end) for _ in range(11)]

    assert {type(each) for each in judged[:10]} == {LogUnreachable}
    assert judged[10] is end


def test_offset_that_never_was_is_out_of_range_at_once():
    """Nobody gave the one before it."""
    end = OffsetOutOfRange(4, lowest=0, next_offset=3)

    assert Place(4).judged(end) is end
