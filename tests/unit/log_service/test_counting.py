"""Records and headers of a message, counted before they are made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.log_api.v1 import log_pb2
from service.log_service.counting import is_bounded
from service.log_service.messages import MOST_HEADERS, MOST_RECORDS

NONE = log_pb2.Record()
HEADER = log_pb2.Header()


def sent(*records):
    return log_pb2.ProduceRequest(stream="s", records=records).SerializeToString()


@pytest.mark.parametrize(
    ("message", "bounded"),
    [
        (sent(*[NONE] * MOST_RECORDS), True),
        (sent(*[NONE] * (MOST_RECORDS + 1)), False),
        (b"\x92\x80\x00\x00" * (MOST_RECORDS + 1), False),
        (sent(log_pb2.Record(headers=[HEADER] * MOST_HEADERS)), True),
        (sent(*[log_pb2.Record(headers=[HEADER] * MOST_HEADERS)] * 2), False),
        (sent(log_pb2.Record(value=b"\x12\x1a" * 100_000)), True),
        (sent(log_pb2.Record(key=b"\x12\x00" * 100_000)), True),
        (b"\x0b" + b"\x12\x00" * (MOST_RECORDS + 1) + b"\x0c", True),
        (b"\x12\x7f" * 100_000, True),
        (b"\x80" * 4_000_000 + b"\x12" * (MOST_RECORDS + 1), True),
        (b"\x20\x12" * 2_000_000, True),
        (b"", True),
    ],
    ids=[
        "most_records",
        "more_records",
        "long_tags",
        "most_headers",
        "more_headers",
        "value",
        "key",
        "group",
        "overlapping",
        "endless_number",
        "unknown_fields",
        "empty",
    ],
)
def test_message_of_very_many_parts_is_seen(message, bounded):
    """Parts count, and bytes that only look like their beginning do not."""
    assert is_bounded(message) is bounded


@given(
    st.lists(st.integers(0, 3), max_size=MOST_RECORDS // 1000),
    st.sampled_from([1, 1000, 4000]),
)
def test_count_is_that_of_the_message(headers, times):
    """Whatever the mixture is, it is refused where the parsed message would be."""
    message = log_pb2.ProduceRequest()
    message.records.extend(
        log_pb2.Record(value=b"\x12\x1a", headers=[HEADER] * each)
        for each in headers * times
    )
    bounded = len(headers) * times <= MOST_RECORDS
    bounded &= sum(headers) * times <= MOST_HEADERS

    assert is_bounded(message.SerializeToString()) is bounded


@given(st.binary(max_size=200))
def test_any_bytes_can_be_counted(data):
    """What is no message is counted as far as it goes; it is refused later."""
    many = b"\x12" * (MOST_RECORDS + 1)

    assert is_bounded(data + many) in (True, False)
