"""The gateway as a part of the service: its switch, settings, token and metrics."""

import subprocess
import sys

import httpx2
import pytest
from pydantic import ValidationError

from service.app import create_service
from service.config import SettingsStore
from service.settings import Settings, SmsSettings
from tests.support.asgi import client
from tests.support.sms import AUTH, notification, sms_section


def service(**changes):
    settings = Settings.model_validate({"sms": sms_section(**changes)})
    return create_service(SettingsStore.of(settings))


async def test_webhook_is_not_there_by_default():
    """A feature that is off has no route."""
    admin = client(create_service(SettingsStore.of(Settings())).admin)

    answer = await admin.post("/alerts/sms", json=notification(), headers=AUTH)

    assert answer.status_code == 404


def test_client_is_not_imported_by_default():
    """The start does not pay for what is off."""
    ask = (
        "import sys; from service.app import create_app; create_app(); "
        "print('httpx2' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True)

    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize(
    ("headers", "reason"),
    [({}, "missing"), ({"authorization": "Bearer " + "x" * 21}, "wrong")],
)
async def test_request_without_the_token_is_refused(headers, reason):
    """401 before the body is looked at, and counted."""
    built = service()

    answer = await client(built.admin).post("/alerts/sms", headers=headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="webhook"'
    count = built.metrics.registry.get_sample_value(
        "httpserver_sms_refusals_total", {"reason": reason}
    )
    assert count == 1


async def test_webhook_is_not_on_the_public_port():
    """Only who reaches the admin port may try."""
    answer = await client(service().app).post("/alerts/sms", headers=AUTH)

    assert answer.status_code == 404


async def test_provider_that_is_not_there_is_a_bad_gateway():
    """Nothing listens on the discard port of the loopback interface."""
    built = service(url="http://127.0.0.1:9", recipients=["+15550101"])

    answer = await client(built.admin).post(
        "/alerts/sms", headers=AUTH, json=notification()
    )

    value = built.metrics.registry.get_sample_value
    assert answer.status_code == 502
    assert value("httpserver_sms_messages_total", {"result": "failed"}) == 1
    assert value("httpserver_sms_provider_duration_seconds_count") == 2


@pytest.mark.parametrize(
    "missing", ["token", "webhook_token", "sender", "recipients", "account"]
)
def test_gateway_without_what_it_needs_is_refused(missing):
    """The message names the setting."""
    section = sms_section()
    del section[missing]

    with pytest.raises(ValidationError, match=rf"sms.enabled needs sms\.{missing} "):
        SmsSettings.model_validate(section)


def test_plain_provider_needs_no_account():
    """Only Twilio's path has one."""
    section = sms_section(provider="json")
    del section["account"]

    assert SmsSettings.model_validate(section).account == ""


@pytest.mark.parametrize("number", ["15550100", "+0155501", "+1 555 0100", "+1", "x"])
def test_number_of_another_form_is_refused(number):
    """E.164, as providers ask for it."""
    with pytest.raises(ValidationError):
        SmsSettings.model_validate(sms_section(recipients=[number]))


def test_gateway_needs_the_admin_port():
    """A webhook on a port that is not open would be missed in silence."""
    document = {"sms": sms_section(), "server": {"admin": {"enabled": False}}}

    with pytest.raises(ValidationError, match=r"sms\.enabled needs server\.admin"):
        Settings.model_validate(document)


async def test_token_that_changes_counts_at_once():
    """Secrets are read at each request: a rotation needs no restart."""
    store = SettingsStore.of(Settings.model_validate({"sms": sms_section()}))
    admin = client(create_service(store).admin)
    store.current = Settings.model_validate(
        {"sms": sms_section(webhook_token="another-token-of-some-length")}
    )

    answers: list[httpx2.Response] = [
        await admin.post("/alerts/sms", headers=headers)
        for headers in (AUTH, {"authorization": "Bearer another-token-of-some-length"})
    ]

    assert [answer.status_code for answer in answers] == [401, 400]
