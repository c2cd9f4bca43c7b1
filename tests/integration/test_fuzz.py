"""
Requests made by chance, of the OpenAPI document and of raw bytes: no 5xx, no crash, no
error in the log, no memory that stays.

`FUZZ_REQUESTS` and `FUZZ_SEED` say how many raw requests the soak makes, and which.
"""

import json
import os
import time

import pytest

from tests.support.attack import assert_served, assert_unharmed, attacked
from tests.support.fuzzing import Campaign, batch, read_answers
from tests.support.raw_http import get
from tests.support.scrape import await_value, resident_bytes

MIB = 1024 * 1024
REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "1000000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))

SHORT = {
    "demo__delay_limit": 0.01,
    "server__header_timeout": 1,
    "server__body_timeout": 1,
    "server__idle_timeout": 1,
}
"""The service ends every connection itself, and soon, so that the fuzzer goes on."""


def assert_clean(campaign: Campaign) -> None:
    """No answer but those that a client's mistake may get."""
    assert campaign.failures == [], campaign.failures[:3]
    assert campaign.statuses[200] > campaign.answered / 4, campaign.statuses
    assert campaign.statuses[400] > 0


async def test_thousands_of_raw_requests_get_no_5xx_and_leave_no_trace():
    """The short form; each run takes the same requests."""
    with attacked(**SHORT) as service:
        campaign = Campaign(service.ports["httpserver"], seed=1)
        await campaign.run(4_000)

        assert_clean(campaign)
        await_value(service, "http_requests_in_flight", 0)
        assert_served(service, get())
        assert_unharmed(service)


@pytest.mark.soak
async def test_a_million_raw_requests_get_no_5xx_and_memory_stays_flat():
    """The long form; a tenth of it warms up."""
    with attacked(**SHORT, log__access="false") as service:
        began = time.monotonic()
        campaign = Campaign(service.ports["httpserver"], seed=SEED)
        await campaign.run(REQUESTS // 10)
        before = resident_bytes(service)
        await campaign.run(REQUESTS)
        await_value(service, "http_requests_in_flight", 0)
        growth = resident_bytes(service) - before
        figures = {
            "answers": campaign.answered,
            "connections": campaign.sent,
            "seconds": round(time.monotonic() - began),
            "growth_mib": round(growth / MIB, 1),
            "statuses": dict(sorted(campaign.statuses.items())),
        }
        print(json.dumps(figures))  # noqa: T201 - the soak's figures

        assert_clean(campaign)
        assert growth < 10 * MIB
        assert_served(service, get())
        assert_unharmed(service)


def test_batches_of_a_seed_are_always_the_same():
    """A failure can be run again."""
    assert [batch(7, n) for n in range(50)] == [batch(7, n) for n in range(50)]
    assert batch(7, 1) != batch(8, 1)


@pytest.mark.parametrize(
    ("data", "statuses", "rest"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTT", [200], b"HTT"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", [100], b""),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nHTTP/1.1 404 No\r\n\r\n",
            [200, 404],
            b"",
        ),
    ],
    ids=["body", "continue", "head"],
)
def test_answers_are_read_by_their_framing(data, statuses, rest):
    """The fuzzer's own reader is right."""
    assert read_answers(data) == (statuses, rest)


def test_second_status_line_in_a_stream_is_found():
    """What a broken server writes after an answer is no answer."""
    with pytest.raises(ValueError, match="Invalid"):
        read_answers(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nInvalid\r\n\r\n")
