"""One message to a provider: what is asked, what its answers mean, what is retried."""

import base64
import json
from email.utils import formatdate
from urllib.parse import parse_qs

import httpx2
import pytest

from service.settings import SmsSettings
from service.sms.provider import (
    LONGEST_PAUSE,
    USUAL_PAUSE,
    Message,
    Provider,
    ProviderBusy,
    ProviderError,
    Refused,
)
from tests.support.sms import PROVIDER_TOKEN, sms_section

MESSAGE = Message(to="+15550101", text="FIRING A & B: 5 % 服", key="k1")


class Bench:
    """A provider that answers what `answers` says: a status, or what is raised."""

    def __init__(self, *answers, headers=None, **settings):
        self.answers = list(answers)
        self.headers = headers or {}
        self.requests = []
        self.slept = []
        self.seconds = []
        settings = SmsSettings.model_validate(sms_section(**settings))
        self.provider = Provider(
            lambda: settings, observe=self.seconds.append, sleep=self._sleep
        )

    async def send(self):
        transport = httpx2.MockTransport(self._answer)
        async with httpx2.AsyncClient(transport=transport) as client:
            await self.provider.send(client, MESSAGE)

    async def failure(self):
        with pytest.raises(ProviderError) as caught:
            await self.send()
        return caught.value

    def _answer(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer, headers=self.headers)

    async def _sleep(self, seconds):
        self.slept.append(seconds)


async def test_twilio_gets_its_form():
    """Path, basic authentication and fields are those of Twilio's API."""
    bench = Bench(201)

    await bench.send()

    (request,) = bench.requests
    scheme, _, given = request.headers["authorization"].partition(" ")
    assert request.method == "POST"
    assert str(request.url) == (
        "https://api.twilio.com/2010-04-01/Accounts/AC0123456789/Messages.json"
    )
    assert scheme == "Basic"
    assert base64.b64decode(given).decode() == f"AC0123456789:{PROVIDER_TOKEN}"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(request.content.decode()) == {
        "To": ["+15550101"],
        "From": ["+15550100"],
        "Body": ["FIRING A & B: 5 % 服"],
    }
    assert len(bench.seconds) == 1


async def test_account_cannot_leave_its_place_in_the_path():
    """A slash in a setting makes no other path."""
    bench = Bench(201, account="../x?y")

    await bench.send()

    assert bench.requests[0].url.raw_path == (
        b"/2010-04-01/Accounts/..%2Fx%3Fy/Messages.json"
    )


async def test_plain_provider_gets_json():
    """Its URL is taken as it is, the token is a bearer token, a key tells retries."""
    bench = Bench(202, provider="json", url="https://sms.example.com/v1/send")

    await bench.send()

    (request,) = bench.requests
    assert str(request.url) == "https://sms.example.com/v1/send"
    assert request.headers["authorization"] == f"Bearer {PROVIDER_TOKEN}"
    assert request.headers["idempotency-key"] == "k1"
    assert json.loads(request.content) == {
        "from": "+15550100",
        "to": "+15550101",
        "text": "FIRING A & B: 5 % 服",
    }


@pytest.mark.parametrize(
    "first",
    [500, 503, 599, 408, httpx2.ConnectError("no"), httpx2.ConnectTimeout("no")],
    ids=str,
)
async def test_message_that_was_not_sent_for_sure_is_tried_once_more(first):
    """After a pause of its own length, so that many do not come at once."""
    bench = Bench(first, 201)

    await bench.send()

    assert len(bench.requests) == 2
    assert 0.5 <= bench.slept[0] <= 1.0


async def test_second_failure_is_the_last():
    """Alertmanager's retries are the ones that go on."""
    bench = Bench(503, httpx2.ConnectError("no"))

    failure = await bench.failure()

    assert (failure.reason, failure.perhaps_sent) == ("ConnectError", False)
    assert len(bench.requests) == 2


@pytest.mark.parametrize(
    "error", [httpx2.ReadTimeout("late"), httpx2.RemoteProtocolError("cut")], ids=str
)
async def test_message_that_is_perhaps_sent_is_not_tried_again_at_once(error):
    """An answer that is lost says nothing about the message."""
    bench = Bench(error)

    failure = await bench.failure()

    assert failure.perhaps_sent
    assert not isinstance(failure, Refused)


@pytest.mark.parametrize("status", [400, 410, 422])
async def test_message_that_will_never_be_taken_is_refused(status):
    """A number that is none stays none."""
    assert isinstance(await Bench(status).failure(), Refused)


@pytest.mark.parametrize("status", [401, 403, 404, 301, 302])
async def test_wrong_account_is_a_failure_that_somebody_can_mend(status):
    """The message is good once the token or URL is right; no redirect is followed."""
    bench = Bench(status, headers={"location": "https://elsewhere.example.com"})

    failure = await bench.failure()

    assert failure.reason == str(status)
    assert not isinstance(failure, Refused)
    assert len(bench.requests) == 1


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        ("7", 7),
        ("0", 1),
        ("999999", LONGEST_PAUSE),
        ("", USUAL_PAUSE),
        ("soon", USUAL_PAUSE),
        ("-5", USUAL_PAUSE),
        (formatdate(0, usegmt=True), 1),
    ],
)
async def test_busy_provider_says_how_long(header, pause):
    """`Retry-After` in seconds or as a date, within bounds."""
    failure = await Bench(429, headers={"retry-after": header}).failure()

    assert isinstance(failure, ProviderBusy)
    assert failure.pause == pause
