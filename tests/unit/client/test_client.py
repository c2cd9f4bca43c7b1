"""Calls: their heads, their time, what the patterns around them do."""

import asyncio

import httpx2
import pytest
import structlog

from service.client.client import Client
from service.client.errors import (
    AnswerTooLarge,
    ClientError,
    InvalidRequest,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from service.client.part import ClientPart, propagating
from service.resilience.timeout import timeout
from tests.support.upstream import URL, Answers, client_of, settings_of

LONG = 60.0


async def forever(_request):
    await asyncio.Event().wait()


async def fail(client, times):
    for _ in range(times):
        with pytest.raises((ClientError, OSError)):
            await client.request("GET", URL)


@pytest.mark.parametrize(
    "url",
    ["", "shop/cart", "ftp://shop/", "http:///cart", "http://[::1", "http://shop:x/"],
)
async def test_url_that_names_nothing_is_refused(url):
    """Nothing is sent, and the reason told."""
    answers = Answers(200)
    client, _ = client_of(answers)
    with pytest.raises(InvalidRequest):
        await client.request("GET", url)

    assert answers.requests == []


async def test_credentials_in_the_url_are_refused_and_not_told():
    """They would end in logs."""
    client, _ = client_of(Answers(200))
    with pytest.raises(InvalidRequest) as caught:
        await client.request("GET", "http://joe:hunter2@shop/")

    assert "hunter2" not in str(caught.value)


async def test_head_carries_what_the_call_says_and_what_the_service_adds():
    """Headers twice, the key, the trace, and who is calling."""
    answers = Answers(200)
    client, _ = client_of(
        answers, propagate=lambda headers: headers.update({"traceparent": "t"})
    )
    await client.request(
        "POST", URL, headers=[("x-a", "1"), ("x-a", "2")], idempotency_key="k"
    )
    sent = answers.requests[0].headers

    assert sent.get_list("x-a") == ["1", "2"]
    assert (sent["idempotency-key"], sent["traceparent"]) == ("k", "t")
    assert sent["user-agent"].startswith("httpserver/")


def test_request_id_of_the_log_is_passed_on():
    """Unless the call has one of its own."""
    headers, own = {}, {"x-request-id": "mine"}
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        propagating(None)(headers)
        propagating(None)(own)

    assert headers == {"x-request-id": "r-1"}
    assert own == {"x-request-id": "mine"}


async def test_header_that_can_not_be_sent_is_refused():
    """A name or value outside of what a head may hold."""
    client, _ = client_of(Answers(200))
    with pytest.raises(InvalidRequest):
        await client.request("GET", URL, headers={"x-é\ud800": "\ud800"})


async def test_call_takes_no_longer_than_its_time_out():
    """All attempts and waits together."""
    client, value = client_of(Answers(forever))
    with pytest.raises(UpstreamTimeout) as caught:
        await client.request("GET", URL, timeout=0.05)

    assert caught.value.reason == "timeout"
    labels = {"service": "shop:8080", "method": "GET", "status": "timeout"}
    assert value("requests_total", **labels) == 1
    assert value("requests_in_flight", service="shop:8080") == 0


async def test_attempt_that_hangs_leaves_time_for_another():
    """The second one answers."""
    answers = Answers(forever, 200)
    client, _ = client_of(answers, attempt_timeout=0.5)
    answer = await client.request("GET", URL)

    assert (answer.status, answer.attempts) == (200, 2)


async def test_deadline_of_the_caller_bounds_the_call():
    """What is left of it is all that there is, and the call tells that it is over."""
    client, _ = client_of(Answers(forever))
    with pytest.raises(UpstreamTimeout):
        async with timeout(0.05):
            await client.request("GET", URL, timeout=LONG)


async def test_cancelled_call_is_no_failure_of_the_upstream():
    """Nothing is counted against it."""
    client, value = client_of(Answers(forever), breaker_minimum_calls=1)
    task = asyncio.create_task(client.request("GET", URL))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert value("breaker_state", service="shop:8080", state="closed") == 1
    assert value("requests_in_flight", service="shop:8080") == 0


@pytest.mark.parametrize(
    ("failure", "opens"),
    [
        pytest.param(500, True, id="500"),
        pytest.param(503, True, id="503"),
        pytest.param(httpx2.ConnectError, True, id="no connection"),
        pytest.param(httpx2.ReadTimeout, True, id="time-out"),
        pytest.param(forever, True, id="deadline"),
        pytest.param(404, False, id="404"),
        pytest.param(429, False, id="429"),
        pytest.param(200, False, id="200"),
        pytest.param(httpx2.PoolTimeout, False, id="own pool"),
        pytest.param(httpx2.LocalProtocolError, False, id="own mistake"),
    ],
)
@pytest.mark.parametrize("way", ["request", "stream"])
async def test_breaker_opens_by_failures_of_the_upstream_alone(failure, opens, way):
    """5xx, connection errors and time-outs; not what the caller did wrong."""
    client, value = client_of(Answers(failure), attempts=1, breaker_minimum_calls=3)
    limit = 0.02 if failure is forever else LONG
    for _ in range(3):
        try:
            if way == "request":
                await client.request("GET", URL, timeout=limit)
            else:
                async with client.stream("GET", URL, timeout=limit):
                    pass
        except Exception:  # noqa: BLE001 - of the upstream's making
            pass

    assert value("breaker_state", service="shop:8080", state="open") == opens


@pytest.mark.parametrize(
    "ours", [httpx2.PoolTimeout, httpx2.LocalProtocolError, OSError, "no room"]
)
async def test_failure_of_ours_hides_none_of_the_upstream(ours):
    """A call that never reached it, among a few that failed: it counts neither way."""
    answers = Answers(*[ours] * 20, httpx2.ReadError)
    client, value = client_of(
        answers, attempts=1, max_in_flight=1, breaker_minimum_calls=3
    )
    if ours == "no room":
        answers.answers = [200, httpx2.ReadError]
        async with client.stream("GET", URL):
            await fail(client, 20)
    else:
        await fail(client, 20)

    assert value("breaker_state", service="shop:8080", state="closed") == 1
    await fail(client, 3)
    assert value("breaker_state", service="shop:8080", state="open") == 1


async def test_open_breaker_refuses_at_once_and_says_for_how_long():
    """No connection is tried, and other upstreams are called as before."""
    answers = Answers(httpx2.ConnectError)
    client, _ = client_of(answers, attempts=1, breaker_minimum_calls=1)
    with pytest.raises(UpstreamUnavailable):
        await client.request("GET", URL)
    with pytest.raises(UpstreamUnavailable) as caught:
        await client.request("GET", URL)
    answers.answers = [200]

    assert caught.value.reason == "circuit_open"
    assert 0 < caught.value.retry_after <= 5
    assert (await client.request("GET", "http://other/")).status == 200
    assert len(answers.requests) == 2


async def test_call_beyond_the_room_fails_at_once():
    """Streams count until they are read."""
    answers = Answers(200)
    client, _ = client_of(answers, max_in_flight=1)
    async with client.stream("GET", URL):
        with pytest.raises(UpstreamUnavailable) as caught:
            await client.request("GET", URL)
        with pytest.raises(UpstreamUnavailable):
            async with client.stream("GET", URL):
                pass

    assert caught.value.reason == "full"
    assert (await client.request("GET", URL)).status == 200


async def test_late_answer_is_asked_for_again():
    """The second request wins, the first is given up."""
    answers = Answers(forever, 200)
    client, value = client_of(answers, hedge_after=0.01)
    answer = await client.request("GET", URL)

    assert (answer.status, len(answers.requests)) == (200, 2)
    assert value("hedges_total", service="shop:8080", result="sent") == 1
    assert value("hedges_total", service="shop:8080", result="won") == 1


async def test_hedged_upstream_that_hangs_opens_the_breaker():
    """The deadline is told from a caller that left."""
    client, value = client_of(
        Answers(forever), hedge_after=0.005, attempts=1, breaker_minimum_calls=1
    )
    with pytest.raises(UpstreamTimeout):
        await client.request("GET", URL, timeout=0.05)

    assert value("breaker_state", service="shop:8080", state="open") == 1


async def test_post_is_never_hedged():
    """It would happen twice."""

    async def late(_request):
        await asyncio.sleep(0.05)
        return 200

    answers = Answers(late)
    client, _ = client_of(answers, hedge_after=0.005)
    await client.request("POST", URL, idempotency_key="k")

    assert len(answers.requests) == 1


async def test_answer_that_is_too_large_is_not_read_to_its_end():
    """Memory is bounded; the breaker takes no offence."""
    client, value = client_of(Answers(200), max_body_bytes=3, breaker_minimum_calls=1)
    with pytest.raises(AnswerTooLarge, match="more than 3 bytes"):
        await client.request("GET", URL)

    assert value("breaker_state", service="shop:8080", state="closed") == 1


async def test_answer_is_read_as_it_says():
    """Headers in any case, text by its charset, JSON."""

    class Spoken(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, _request):
            headers = {"Content-Type": "application/json; charset=latin-1"}
            return httpx2.Response(200, headers=headers, content=b'["\xe9"]')

    async def spoken(_secure):
        return Spoken()

    client, _ = client_of(spoken)
    answer = await client.request("GET", URL)

    assert answer.headers["content-type"].startswith("application/json")
    assert answer.text == '["é"]'
    assert answer.ok


@pytest.mark.parametrize("body", [b"", b"[" * 100_000, b"\xff\xff\xff"], ids=len)
async def test_body_that_is_no_json_is_an_error_of_its_value(body):
    """However it is none: nothing else comes out of reading it."""

    async def spoken(_secure):
        return httpx2.MockTransport(lambda _: httpx2.Response(200, content=body))

    client, _ = client_of(spoken)
    answer = await client.request("GET", URL)
    with pytest.raises(ValueError, match=r"."):
        answer.json()


async def test_new_settings_take_effect_with_the_next_call():
    """The breaker keeps what it knows while its limits stay."""
    settings = settings_of(attempts=1, breaker_minimum_calls=1)
    answers = Answers(503, 503, 200)
    client = Client(lambda: settings, transport=answers)
    await client.request("GET", URL)
    settings = settings_of(attempts=2, breaker_minimum_calls=1)
    with pytest.raises(UpstreamUnavailable):
        await client.request("GET", URL)
    settings = settings_of(attempts=2, breaker=False)

    assert (await client.request("GET", URL)).attempts == 2


async def test_upstreams_that_are_many_are_forgotten(monkeypatch):
    """Those without a call under way, the eldest first; their connections closed."""
    closed = []

    class Closing(httpx2.MockTransport):
        async def aclose(self):
            closed.append(self)

    async def ok(_request):
        return httpx2.Response(200)

    async def closing(_secure):
        return Closing(ok)

    monkeypatch.setattr("service.client.upstream.MOST_UPSTREAMS", 2)
    client, _ = client_of(closing)
    async with client.stream("GET", "http://a/"):
        for host in "bcd":
            await client.request("GET", f"http://{host}/")
        assert len(closed) == 2
    await client.close()

    assert len(closed) == 4


async def test_closed_client_calls_nobody():
    """It says so."""
    client, _ = client_of(Answers(200))
    await client.close()
    with pytest.raises(InvalidRequest, match="closed"):
        await client.request("GET", URL)


async def test_client_that_is_closed_while_a_call_waits_for_its_pool_calls_nobody():
    """The pool that comes too late is closed too."""
    asked, go_on, closed = asyncio.Event(), asyncio.Event(), []

    class Closing(httpx2.MockTransport):
        async def aclose(self):
            closed.append(self)

    async def slow(_secure):
        asked.set()
        await go_on.wait()
        return Closing(lambda _request: httpx2.Response(200))

    client, _ = client_of(slow)
    call = asyncio.create_task(client.request("GET", URL))
    await asked.wait()
    await client.close()
    go_on.set()
    with pytest.raises(InvalidRequest, match="closed"):
        await call

    assert len(closed) == 1


async def test_call_that_a_closing_client_has_cut_is_not_repeated():
    """Another attempt would open the pool again, and nobody close it."""

    async def cut(_request):
        await client.close()
        raise httpx2.ReadError("closed")

    answers = Answers(cut, 200)
    client, _ = client_of(answers)
    with pytest.raises(InvalidRequest, match="closed"):
        await client.request("GET", URL)

    assert len(answers.requests) == 1


async def test_part_makes_one_client_and_closes_it():
    """None is made where nobody asks."""
    settings = settings_of()

    def part():
        return ClientPart(
            lambda: settings, metrics=lambda: None, propagate=propagating(None)
        )

    unused, used = part(), part()
    await unused.start()
    await unused.stop()
    client = used.get()

    assert used.get() is client
    await used.stop()
    with pytest.raises(InvalidRequest):
        await client.request("GET", URL)


@pytest.mark.parametrize(
    ("content", "said", "fits"),
    [
        (b"four", "4", True),
        (b"four", "5", False),
        (b"four", "+4", False),
        (None, "0", True),
        (None, "1", False),
    ],
)
async def test_length_that_is_not_the_contents_is_refused_before_it_is_sent(
    content, said, fits
):
    """The other end would wait for the rest, or take it for the next request."""
    answers = Answers(200)
    client, _ = client_of(answers)
    call = client.request(
        "POST", URL, headers={"content-length": said}, content=content
    )
    if fits:
        assert (await call).status == 200
        return
    with pytest.raises(InvalidRequest):
        await call
    assert answers.requests == []
