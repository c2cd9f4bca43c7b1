"""docs/metrics.md lists what is exported, and nothing else."""

import re
from pathlib import Path

import pytest

from service.app import create_service
from service.config import SettingsStore
from service.resilience.events import Event
from service.settings import Settings
from tests.support.sms import sms_section

ROW = re.compile(r"\| `(\w+)` \| (\w+) \| ([^|]*)\| ")

DOCUMENT = Path("docs/metrics.md").read_text(encoding="utf-8")


def documented() -> dict[str, tuple[str, set[str]]]:
    """Type and labels of each metric in the document, by name."""
    rows = ROW.findall(DOCUMENT)
    return {
        name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows
    }


@pytest.fixture(scope="module")
def exported():
    """Type and labels of each metric of the service, by name."""
    settings = Settings.model_validate(
        {
            "server": {"tls": {"enabled": True}},
            "sms": sms_section(),
            "phonebook": {"enabled": True},
            "files": {"enabled": True},
            "log_service": {"enabled": True},
            "proxy": {
                "enabled": True,
                "routes": [{"path": "/catalogue/", "upstream": "http://catalogue"}],
            },
            "tracing": {"exporter": "console"},
            "discovery": {
                "services": {"shop": {"source": "static", "endpoints": ["shop:80"]}}
            },
        }
    )
    service = create_service(SettingsStore.of(settings))
    metrics = service.metrics
    service.certificates.metrics.loaded({"server": 1.0})
    served = next(each for each in service.parts if each.name == "log_streams").metrics
    served.ended("log.v1.LogService/Produce", "OK", 0.1, stream=False)
    served.in_flight.labels("log.v1.LogService/Produce")
    served.loaded({"server": 1.0})
    served.refused("offset_out_of_range")
    names = ("next", "lowest", "bytes", "segments", "refused", "torn", "unreachable")
    served.follow("records", dict.fromkeys(names, lambda: 0.0))
    calls = service.client.get().metrics
    calls.began("catalogue")
    calls.ended("catalogue", "GET", "200", 0.1)
    calls.retries.labels("catalogue", "retried")
    calls.hedges.labels("catalogue", "sent")
    calls.breaker("catalogue", "open")
    metrics.http.begin()
    metrics.http.end(
        method="GET",
        route="/",
        status=200,
        duration=0.1,
        request_bytes=0,
        response_bytes=0,
    )
    metrics.loop_lag.labels("main")
    metrics.flags.counting("page", value=True, reason="static")()
    metrics.patterns.observe(Event("fallback", "fan_out", "used"))
    metrics.logins.labels("success")
    metrics.connections.of("main").refused("bad_request")
    metrics.connections.of("main").closed("silent")
    found = {}
    for family in metrics.registry.collect():
        labels = {key for sample in family.samples for key in sample.labels} - {"le"}
        name = family.name + ("_total" if family.type == "counter" else "")
        found[name] = (family.type, labels)
    return found


def test_document_and_service_have_the_same_metrics(exported):
    """Whoever adds, renames or drops a metric changes its row too."""
    assert documented() == exported


def test_queries_ask_for_metrics_that_exist(exported):
    """An example that finds nothing helps nobody."""
    blocks = re.findall(r"```promql\n(.*?)```", DOCUMENT, re.DOTALL)
    queries = re.sub(r"#.*|\{[^}]*\}|\bby \([^)]*\)", "", "\n".join(blocks))
    asked = set(re.findall(r"\b(?:http|process|python)\w*_\w+", queries))
    series = {
        name + suffix
        for name in exported
        for suffix in ("", "_bucket", "_sum", "_count")
    }

    assert asked
    assert asked <= series
