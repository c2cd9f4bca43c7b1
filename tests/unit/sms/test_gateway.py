"""The webhook: who may use it, what it takes, and what it answers Alertmanager."""

import asyncio
import contextlib
import json

import pytest
from structlog.testing import capture_logs

from service.server.routes import Route
from service.settings import SmsSettings
from service.sms.delivery import Postman
from service.sms.gateway import Gateway
from service.sms.memory import FINISHED
from service.sms.notifications import MAX_BYTES
from service.sms.provider import ProviderBusy, ProviderError, Refused
from tests.support.asgi import application, client
from tests.support.sms import RECIPIENTS, alert, notification, sms_section

ANN, BEN = RECIPIENTS


class Bench:
    """A gateway whose provider raises what `failures` has for a number."""

    def __init__(self, **settings):
        self.settings = SmsSettings.model_validate(sms_section(**settings))
        self.now = 1000.0
        self.failures = {}
        self.asked = []
        self.sent = []
        self.keys = []
        self.counted = []
        self.gate = asyncio.Event()
        self.gate.set()
        postman = Postman(
            lambda: self.settings,
            provider=self,
            count=self.counted.append,
            clock=lambda: self.now,
        )
        route = Route(
            path="/alerts/sms",
            handler=Gateway(postman).handle,
            methods=("POST",),
            max_body_bytes=MAX_BYTES,
        )
        self.http = client(application(route))

    async def post(self, document=None):
        return await self.http.post("/alerts/sms", json=document or notification())

    # what a provider is to the postman

    @contextlib.asynccontextmanager
    async def connected(self):
        yield None

    async def send(self, _client, message):
        self.asked.append(message.to)
        await self.gate.wait()
        if message.to in self.failures:
            raise self.failures[message.to]
        self.sent.append(message.to)
        self.keys.append(message.key)


async def test_notification_goes_to_every_recipient():
    """200, and the same number twice is one recipient."""
    bench = Bench(recipients=[ANN, BEN, ANN])

    answer = await bench.post()

    assert answer.status_code == 200
    assert answer.json() == {"results": {"sent": 2}}
    assert bench.sent == [ANN, BEN]
    assert bench.counted == ["sent", "sent"]


async def test_failed_recipient_alone_is_tried_again():
    """502 makes Alertmanager retry; who has the message does not get it twice."""
    bench = Bench()
    bench.failures[BEN] = ProviderError("500")
    first = await bench.post()
    again = await bench.post()
    bench.failures.clear()
    last = await bench.post()

    assert [each.status_code for each in (first, again, last)] == [502, 502, 200]
    assert bench.sent == [ANN, BEN]
    assert last.json() == {"results": {"suppressed": 1, "sent": 1}}
    assert first.json()["results"] == {"sent": 1, "failed": 1}


async def test_second_alertmanager_sends_nothing_twice():
    """Members of a cluster may both send what both believe to be theirs."""
    bench = Bench()

    answers = [await bench.post() for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert bench.sent == [ANN, BEN]


async def test_attempts_at_the_same_time_send_once():
    """The second one waits for the first and finds nothing to do."""
    bench = Bench()
    bench.gate.clear()
    both = [asyncio.create_task(bench.post()) for _ in range(2)]
    while len(bench.asked) < 2:
        await asyncio.sleep(0)

    bench.gate.set()
    answers = await asyncio.gather(*both)

    assert [answer.status_code for answer in answers] == [200, 200]
    assert bench.sent == [ANN, BEN]


async def test_repetition_is_sent():
    """`repeat_interval` asks for it; its keys are not those of the first time."""
    bench = Bench(recipients=[ANN])
    await bench.post()

    bench.now += FINISHED
    await bench.post()

    assert bench.sent == [ANN, ANN]
    assert len(set(bench.keys)) == 2


@pytest.mark.parametrize(
    "news",
    [
        notification(alert(status="resolved"), status="resolved"),
        notification(alert(startsAt="2026-11-21T11:00:00Z")),
        notification(alert(), alert(fingerprint="fedcba9876543210")),
        notification(truncatedAlerts=1),
        notification(groupKey="another"),
    ],
    ids=["resolved", "fires-anew", "one-more", "more-left-out", "group"],
)
async def test_other_news_is_sent(news):
    """Only the very same news is kept back."""
    bench = Bench(recipients=[ANN])
    await bench.post()

    await bench.post(news)

    assert bench.sent == [ANN, ANN]


async def test_order_of_alerts_makes_no_other_news():
    """Alertmanager promises none."""
    bench = Bench(recipients=[ANN])
    pair = [alert(), alert(fingerprint="fedcba9876543210")]

    for alerts in (pair, pair[::-1]):
        await bench.post(notification(*alerts))

    assert bench.sent == [ANN]


async def test_number_that_is_refused_keeps_nobody_waiting():
    """A retry would not help: 200 for those who got it, and the log has the rest."""
    bench = Bench()
    bench.failures[BEN] = Refused("400")

    with capture_logs() as lines:
        answer = await bench.post()

    assert answer.status_code == 200
    assert answer.json() == {"results": {"sent": 1, "refused": 1}}
    assert {"result": "refused", "reason": "400", "to": "…02"}.items() <= lines[
        -1
    ].items()


async def test_nobody_reached_is_a_failure():
    """When every number is refused somebody has to learn of it."""
    bench = Bench()
    bench.failures = dict.fromkeys(RECIPIENTS, Refused("400"))

    assert (await bench.post()).status_code == 502


async def test_busy_provider_is_left_alone():
    """503 with its `Retry-After`, and no request to it before that."""
    bench = Bench(recipients=[ANN])
    bench.failures[ANN] = ProviderBusy("429", pause=30)

    first = await bench.post()
    bench.failures.clear()
    bench.now += 29
    early = await bench.post()
    bench.now += 1
    late = await bench.post()

    assert [each.status_code for each in (first, early, late)] == [503, 503, 200]
    assert [first.headers["retry-after"], early.headers["retry-after"]] == ["30", "1"]
    assert bench.asked == [ANN, ANN]


async def test_hour_that_is_used_up_is_told():
    """429 with the seconds until there is room; who has it is not sent it again."""
    bench = Bench(max_per_hour=1)

    first = await bench.post()
    bench.now += 3600
    last = await bench.post()

    assert first.status_code == 429
    assert first.headers["retry-after"] == "3600"
    assert first.json()["results"] == {"sent": 1, "throttled": 1}
    assert last.status_code == 200
    assert bench.sent == [ANN, BEN]


async def test_failures_do_not_use_the_hour_up():
    """But messages that are perhaps sent do: they may cost something."""
    bench = Bench(recipients=[ANN], max_per_hour=2)
    bench.failures[ANN] = ProviderError("500")
    statuses = [(await bench.post()).status_code for _ in range(5)]
    bench.failures[ANN] = ProviderError("ReadTimeout", perhaps_sent=True)
    statuses += [(await bench.post()).status_code for _ in range(3)]

    assert statuses == [502] * 7 + [429]


async def test_log_tells_each_message_and_no_number():
    """The end of the number is enough for who knows it."""
    bench = Bench(recipients=[ANN])

    with capture_logs() as lines:
        await bench.post()

    (line,) = (line for line in lines if line["event"] == "text_message")
    assert line["log_level"] == "info"
    assert (line["result"], line["to"]) == ("sent", "…01")
    assert ANN[:-2] not in str(lines)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b'{"version":"4","version":"4"}', "application/json", 400),
        (json.dumps(notification()).encode(), "text/plain", 415),
        (b"[]", "application/json", 422),
        (b"{}", "application/json", 422),
        (json.dumps(notification(version="3")).encode(), "application/json", 422),
        (json.dumps(notification(version=4)).encode(), "application/json", 422),
        (json.dumps(notification(alerts=[])).encode(), "application/json", 422),
        (json.dumps(notification(status="odd")).encode(), "application/json", 422),
        (
            json.dumps(notification(alert(labels={"a": 1}))).encode(),
            "application/json",
            422,
        ),
        (
            json.dumps(notification(alert(labels=None))).encode(),
            "application/json",
            422,
        ),
        (
            json.dumps(notification(truncatedAlerts=True)).encode(),
            "application/json",
            422,
        ),
        (b" " * (MAX_BYTES + 1), "application/json", 413),
        (b'{"version":"\\ud800"}', "application/json", 400),
    ],
)
async def test_mistake_of_the_client_is_no_failure_of_ours(body, kind, status):
    """A problem document, never a 5xx that would be retried; nothing is sent."""
    bench = Bench()

    answer = await bench.http.post(
        "/alerts/sms", content=body, headers={"content-type": kind}
    )

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert bench.asked == []


async def test_members_that_come_later_are_let_through():
    """A newer Alertmanager may say more."""
    bench = Bench()

    answer = await bench.post(notification(alert(new=1), new={"a": []}))

    assert answer.status_code == 200
