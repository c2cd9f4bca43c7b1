"""Which calls are repeated, and after which failures."""

import httpx2
import pytest

from service.client.errors import (
    InvalidAnswer,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from service.client.repeating import retry_after
from tests.support.upstream import URL, Answers, client_of

CALLS = {
    "GET": {},
    "PUT": {"content": b"x"},
    "DELETE": {},
    "POST": {"content": b"x"},
    "POST with a key": {"content": b"x", "idempotency_key": "k"},
    "POST with a header": {"headers": {"Idempotency-Key": "k"}},
    "POST at will": {"retry": True},
    "GET once": {"retry": False},
    "PUT streamed": {"content": "streamed"},
}
"""Options of calls, by their method and what is special about them."""

IDEMPOTENT = {
    "GET",
    "PUT",
    "DELETE",
    "POST with a key",
    "POST with a header",
    "POST at will",
}
NEVER = {"GET once", "PUT streamed"}
ANY = {"POST", *IDEMPOTENT}

FAILURES = {
    httpx2.ConnectError: ANY,
    httpx2.ConnectTimeout: ANY,
    httpx2.ReadTimeout: IDEMPOTENT,
    httpx2.WriteTimeout: IDEMPOTENT,
    httpx2.ReadError: IDEMPOTENT,
    httpx2.WriteError: IDEMPOTENT,
    httpx2.RemoteProtocolError: IDEMPOTENT,
    httpx2.PoolTimeout: set(),
    httpx2.LocalProtocolError: set(),
    429: IDEMPOTENT,
    502: IDEMPOTENT,
    503: IDEMPOTENT,
    504: IDEMPOTENT,
    400: set(),
    404: set(),
    500: set(),
    501: set(),
}
"""Calls that are repeated, by the failure."""


async def pieces():
    yield b"a piece"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "failure", FAILURES, ids=lambda each: getattr(each, "__name__", each)
)
async def test_failure_is_repeated_only_where_that_does_no_harm(call, failure):
    """Each call, each failure: there is a second request, or there is none."""
    answers = Answers(failure, 200)
    client, _ = client_of(answers)
    options = dict(CALLS[call])
    if options.get("content") == "streamed":
        options["content"] = pieces()
    try:
        status = (await client.request(call.split()[0], URL, **options)).status
    except Exception as error:  # noqa: BLE001 - which one is another test's
        status = type(error)

    repeated = call in FAILURES[failure]
    assert len(answers.requests) == 1 + repeated
    assert (status == 200) == repeated


@pytest.mark.parametrize(
    ("raised", "kind", "reason"),
    [
        (httpx2.ConnectError, UpstreamUnavailable, "connect"),
        (httpx2.ReadError, UpstreamUnavailable, "broken"),
        (httpx2.ConnectTimeout, UpstreamTimeout, "connect_timeout"),
        (httpx2.ReadTimeout, UpstreamTimeout, "read_timeout"),
        (httpx2.WriteTimeout, UpstreamTimeout, "write_timeout"),
        (httpx2.PoolTimeout, UpstreamTimeout, "pool_timeout"),
        (httpx2.RemoteProtocolError, InvalidAnswer, "protocol"),
    ],
)
async def test_error_of_the_library_is_the_cause_of_ours(raised, kind, reason):
    """It tells which upstream and why; the library's own error is behind it."""
    client, value = client_of(Answers(raised), attempts=1)
    with pytest.raises(UpstreamError) as caught:
        await client.request("GET", URL)

    assert type(caught.value) is kind
    assert (caught.value.service, caught.value.reason) == ("shop:8080", reason)
    assert type(caught.value.__cause__) is raised
    labels = {"service": "shop:8080", "method": "GET", "status": reason}
    assert value("requests_total", **labels) == 1


async def test_last_answer_stands_when_attempts_are_used_up():
    """An answer of failure is an answer, not an error."""
    answers = Answers(503)
    client, value = client_of(answers, attempts=3)
    answer = await client.request("GET", URL)

    assert (answer.status, answer.attempts, answer.content) == (503, 3, b"body")
    assert value("retries_total", service="shop:8080", result="retried") == 2
    assert value("retries_total", service="shop:8080", result="attempts") == 1


async def test_retry_budget_is_shared_by_all_calls_of_an_upstream():
    """An upstream that is down gets little more than its usual load."""
    answers = Answers(503)
    client, value = client_of(answers, retry_burst=3, breaker=False)
    for _ in range(20):
        await client.request("GET", URL)

    assert 23 <= len(answers.requests) <= 26
    assert value("retries_total", service="shop:8080", result="budget") >= 14


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_that_outlasts_the_deadline_is_not_waited_for(status):
    """The answer comes back at once."""
    answers = Answers((status, {"retry-after": "3"}))
    client, value = client_of(answers)
    answer = await client.request("GET", URL, timeout=2)

    assert (answer.status, len(answers.requests)) == (status, 1)
    assert value("retries_total", service="shop:8080", result="deadline") == 1


async def test_retry_after_that_is_too_long_is_not_waited_for():
    """An upstream can't hold calls for an hour."""
    answers = Answers((503, {"retry-after": "3600"}))
    client, value = client_of(answers, timeout=10_000)

    assert (await client.request("GET", URL)).status == 503
    assert value("retries_total", service="shop:8080", result="retry_after") == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param(None, None, id="none"),
        pytest.param("0", 0, id="zero"),
        pytest.param("120", 120, id="seconds"),
        pytest.param(" 7 ", 7, id="blanks"),
        pytest.param("Thu, 01 Jan 1970 00:01:40 GMT", 60, id="date"),
        pytest.param("Thursday, 01-Jan-70 00:01:40 GMT", 60, id="old date"),
        pytest.param("Thu Jan  1 00:01:40 1970", 60, id="asctime"),
        pytest.param("Thu, 01 Jan 1970 00:00:01 GMT", 0, id="past"),
        pytest.param("soon", None, id="word"),
        pytest.param("-1", None, id="negative"),
        pytest.param("1.5", None, id="fraction"),
        pytest.param("٣", None, id="foreign digit"),
        pytest.param("", None, id="empty"),
    ],
)
def test_retry_after_is_read_in_each_form(header, seconds):
    """Seconds or a date; anything else counts as none."""
    assert retry_after(header, clock=lambda: 40.0) == seconds
