"""
From an alert to the e-mail and the text message: a real Alertmanager with our
configuration, a mail server with TLS and passwords, our gateway, and a provider.

Hosts, ports and paths of the configuration are replaced, and its waits shortened
(`tests/support/alertmanager.py:placed`); the rest is what the file says.
"""

import json
import os
import re
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.alertmanager import Alertmanager, alertmanager, placed, program
from tests.support.certificates import Authority
from tests.support.mail import MailServer, mail_serving, shown
from tests.support.process import ServiceProcess, serving
from tests.support.settings_files import KubernetesMount
from tests.support.sms import (
    PROVIDER_TOKEN,
    RECIPIENTS,
    WEBHOOK_TOKEN,
    FakeProvider,
    providing,
)
from tests.support.waiting import until

ANN, BEN = RECIPIENTS

PASSWORD = "password-of-the-mail-account"

LIMIT = 60.0
"""Seconds that a notification may take; most take one."""


@dataclass(frozen=True, kw_only=True)
class World:
    """All that takes part."""

    alertmanager: Alertmanager
    provider: FakeProvider
    mail: MailServer
    gateway: ServiceProcess
    alertmanager_secrets: KubernetesMount
    gateway_secrets: KubernetesMount

    def texts(self, *words: str) -> list[tuple[str, str]]:
        """Return the texts that hold all *words*, sorted."""
        return sorted(
            (to, text)
            for to, text in self.provider.taken
            if set(words) <= set(re.split(r"[ :]+", text))
        )

    def mails(self, *words: str) -> list[dict[str, str]]:
        """Return the mails whose subjects hold all *words*."""
        return [
            found
            for found in map(shown, self.mail.mails)
            if set(words) <= set(found["subject"].split())
        ]

    def await_texts(self, *words: str) -> list[tuple[str, str]]:
        """Wait until every recipient has a text with all *words*."""
        until(lambda: {to for to, _ in self.texts(*words)} == {ANN, BEN}, limit=LIMIT)
        return self.texts(*words)

    def await_mail(self, *words: str) -> dict[str, str]:
        """Wait for a mail whose subject holds all *words*."""
        return until(lambda: self.mails(*words), limit=LIMIT)[0]


def secrets_of_gateway(webhook_token: str) -> dict[str, str]:
    return {"sms__token": PROVIDER_TOKEN, "sms__webhook_token": webhook_token}


def secrets_of_alertmanager(webhook_token: str) -> dict[str, str]:
    return {"smtp-password": PASSWORD, "sms-webhook-token": webhook_token}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Everything up and running."""
    program()
    folder: Path = tmp_path_factory.mktemp("notifications")
    authority = Authority()
    (folder / "ca.pem").write_text(authority.pem)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*authority.issue("127.0.0.1").write(folder / "mail"))
    for_gateway = KubernetesMount(
        folder / "gateway", **secrets_of_gateway(WEBHOOK_TOKEN)
    )
    for_alertmanager = KubernetesMount(
        folder / "secrets", **secrets_of_alertmanager(WEBHOOK_TOKEN)
    )
    user = "alertmanager@example.com"
    with (
        mail_serving(tls, user=user, password=PASSWORD) as mail,
        providing() as provider,
        serving(
            f"--secrets-dir={folder / 'gateway'}",
            server__drain_delay=0,
            sms__enabled=True,
            sms__account="AC0123456789",
            sms__sender="+15550100",
            sms__recipients=json.dumps(RECIPIENTS),
            sms__url=provider.url,
        ) as gateway,
        alertmanager(
            placed(
                mail=f"127.0.0.1:{mail.server_address[1]}",
                webhook=f"{gateway.admin_url}/alerts/sms",
                secrets=str(folder / "secrets"),
            ),
            folder,
            environment=os.environ | {"SSL_CERT_FILE": str(folder / "ca.pem")},
        ) as running,
    ):
        yield World(
            alertmanager=running,
            provider=provider,
            mail=mail,
            gateway=gateway,
            alertmanager_secrets=for_alertmanager,
            gateway_secrets=for_gateway,
        )


def test_critical_alert_is_told_by_mail_and_text_and_so_is_its_end(world):
    """Everybody learns that it fires and that it is over, once."""
    labels = {
        "alertname": "HttpserverDown",
        "severity": "critical",
        "namespace": "first",
    }
    world.alertmanager.post(**labels, summary="No pod of the service answers")
    firing = world.await_texts("FIRING", "first")
    mail = world.await_mail("FIRING", "first")

    world.alertmanager.post(**labels, firing=False)
    resolved = world.await_texts("RESOLVED", "first")
    world.await_mail("RESOLVED", "first")

    text = "FIRING critical HttpserverDown first: No pod of the service answers"
    assert firing == [(ANN, text), (BEN, text)]
    assert [each for _, each in resolved] == [
        "RESOLVED critical HttpserverDown first"
    ] * 2
    assert mail["to"] == "operators@example.com"
    assert mail["subject"] == "FIRING critical HttpserverDown in first"
    assert "No pod of the service answers" in mail["text"]
    assert "severity=critical" in mail["text"]
    assert "http://prometheus.example.com/graph" in mail["text"]
    assert world.mail.refused == []


def test_warning_is_told_by_mail_alone(world):
    """Nobody is woken for it."""
    world.alertmanager.post(
        alertname="HttpserverLatencyHigh", severity="warning", namespace="second"
    )

    mail = world.await_mail("FIRING", "second")

    assert mail["subject"] == "FIRING warning HttpserverLatencyHigh in second"
    assert world.texts("second") == []


def test_provider_that_fails_is_asked_again_and_nobody_gets_two(world):
    """Who has the text is left alone, who has not gets it when the provider is back."""
    world.provider.statuses[BEN] = 503
    before = len(world.provider.requests)
    world.alertmanager.post(
        alertname="HttpserverDown", severity="critical", namespace="third"
    )
    until(lambda: len(world.provider.requests) >= before + 6, limit=LIMIT)
    assert [to for to, _ in world.texts("third")] == [ANN]

    del world.provider.statuses[BEN]
    world.await_texts("FIRING", "third")
    world.alertmanager.post(
        alertname="HttpserverDown", severity="critical", namespace="third", firing=False
    )
    world.await_texts("RESOLVED", "third")

    assert [to for to, _ in world.texts("FIRING", "third")] == [ANN, BEN]


def test_alerts_of_one_name_are_one_text(world):
    """Three routes that fail are one piece of news."""
    for route in ("/", "/cart", "/pay"):
        world.alertmanager.post(
            alertname="HttpserverAvailabilityBudgetBurn",
            severity="critical",
            namespace="fourth",
            route=route,
        )

    texts = world.await_texts("(3)", "fourth")

    assert [to for to, _ in texts] == [ANN, BEN]


@pytest.mark.parametrize(
    ("source", "severity", "muted"),
    [
        ("HttpserverDown", "critical", ["HttpserverShedding", "HttpserverTooFewReady"]),
        ("HttpserverTooFewReady", "critical", ["HttpserverTargetDown"]),
        ("HttpserverFaultsInjected", "info", ["HttpserverErrorRatioHigh"]),
    ],
)
def test_cause_mutes_its_effects_where_it_is(world, source, severity, muted):
    """In its own namespace alone; elsewhere the same alert is told."""
    here, there = f"here-{source}", f"there-{source}"
    world.alertmanager.post(alertname=source, severity=severity, namespace=here)
    until(lambda: world.alertmanager.state(source, here) == "active", limit=LIMIT)
    for name in muted:
        for namespace in (here, there):
            world.alertmanager.post(
                alertname=name, severity="warning", namespace=namespace
            )

    for name in muted:
        world.await_mail("FIRING", name, there)
        assert world.alertmanager.state(name, here) == "suppressed"
        assert world.mails(name, here) == []


def test_faults_on_purpose_leave_other_alerts_alone(world):
    """A service that is down is down, whoever plays with it."""
    world.alertmanager.post(
        alertname="HttpserverFaultsInjected", severity="info", namespace="fifth"
    )
    world.alertmanager.post(
        alertname="HttpserverDown", severity="critical", namespace="fifth"
    )

    world.await_texts("FIRING", "fifth")


def test_texts_that_are_lost_are_told_by_mail(world):
    """Critical, and yet no text: it would be lost in its turn."""
    world.alertmanager.post(
        alertname="HttpserverTextMessagesLost", severity="critical", namespace="sixth"
    )

    world.await_mail("FIRING", "sixth")

    assert world.texts("sixth") == []


def test_secrets_change_without_a_restart(world):
    """Both sides read the new token, and the next alert passes."""
    token = "another-secret-of-the-webhook"
    world.gateway_secrets.swap(**secrets_of_gateway(token))
    world.gateway.await_event("settings_reloaded")
    world.alertmanager_secrets.swap(**secrets_of_alertmanager(token))
    world.alertmanager.post(
        alertname="HttpserverDown", severity="critical", namespace="seventh"
    )

    world.await_texts("FIRING", "seventh")


def test_log_holds_neither_secrets_nor_numbers(world):
    """A line for each text, with the end of its number."""
    world.alertmanager.post(
        alertname="HttpserverDown", severity="critical", namespace="eighth"
    )
    world.await_texts("FIRING", "eighth")
    lines = until(lambda: world.gateway.events("text_message")[1:], limit=LIMIT)

    text = json.dumps(world.gateway.log)
    assert {line["to"] for line in lines} <= {f"…{each[-2:]}" for each in RECIPIENTS}
    for secret in (PROVIDER_TOKEN, WEBHOOK_TOKEN, ANN[1:], BEN[1:]):
        assert secret not in text
