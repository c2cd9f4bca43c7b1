"""Discovery is put together from the settings, and only what they name is there."""

import asyncio
import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from service.app import create_service
from service.config import SettingsStore
from service.discovery.assembly import assemble
from service.discovery.model import UnknownService
from service.observability.discovery_metrics import DiscoveryMetrics
from service.settings import Settings
from service.settings.discovery import DiscoverySettings
from tests.support.discovery import endpoints
from tests.support.log import logged
from tests.support.waiting import fulfilled

STORE = {"store": "redis://127.0.0.1:9/0"}
STATIC = {"source": "static", "endpoints": ["10.0.0.1:80", "10.0.0.2:80"]}


def settings(**values):
    return DiscoverySettings.model_validate(values)


class Assembly:
    """Discovery of some settings, and what it measures."""

    def __init__(self, ready=lambda: True, **values):
        self.registry = CollectorRegistry()
        found = assemble(
            lambda: settings(**values),
            metrics=DiscoveryMetrics(self.registry),
            prefix="t:",
            ready=ready,
        )
        self.discovery, self.parts = found.discovery, found.parts

    async def __aenter__(self):
        for each in self.parts:
            await each.start()
        return self

    async def __aexit__(self, *_error):
        for each in reversed(self.parts):
            await each.stop()

    def metric(self, name, **labels):
        return self.registry.get_sample_value(f"httpserver_discovery_{name}", labels)


async def test_static_service_is_picked_measured_and_shown():
    """From the settings to the balancer, the metrics and the view."""
    async with Assembly(services={"shop": STATIC}, zone="a") as shop:
        with shop.discovery.balancer.lease("shop") as endpoint:
            busy = shop.discovery.view()
        with pytest.raises(UnknownService):
            shop.discovery.balancer.pick("bank")

    seen = busy["services"]["shop"]
    assert endpoint in endpoints(2)
    assert shop.metric("picks_total", service="shop", result="found") == 1
    assert shop.metric("endpoints", service="shop", state="ready") == 2
    assert shop.metric("changes_total", service="shop") == 1
    assert (busy["zone"], seen["source"], seen["failing"]) == ("a", "static", None)
    assert sorted(each["in_flight"] for each in seen["endpoints"]) == [0, 1]


async def test_file_alone_brings_its_services(tmp_path):
    """Services that nobody configured are known as the file has them."""
    file = tmp_path / "services.yaml"
    file.write_text("shop: ['10.0.0.1:80']\n")
    async with Assembly(file=str(file)) as known:
        assert known.discovery.balancer.pick("shop") == endpoints(1)[0]
        assert known.discovery.view()["services"]["shop"]["source"] == "static"


async def test_policy_of_each_service_is_its_own():
    """Way and outlier limits stand with the service, and ejections are told."""
    shop = {**STATIC, "way": "consistent_hash", "outliers": {"failures": 1}}
    with logged() as log:
        async with Assembly(services={"shop": shop, "bank": STATIC}) as both:
            balancer = both.discovery.balancer
            first = balancer.pick("shop", key="k")
            same = {balancer.pick("shop", key="k") for _ in range(20)}
            with pytest.raises(ConnectionError), balancer.lease("shop", key="k"):
                raise ConnectionError
            seen = both.discovery.view()["services"]

    states = {each["address"]: each["state"] for each in seen["shop"]["endpoints"]}
    (line,) = [each for each in log.lines if "ejected" in each["event"]]
    assert same == {first}
    assert states[str(first)] == "ejected"
    assert (seen["shop"]["way"], seen["bank"]["way"]) == (
        "consistent_hash",
        "least_requests",
    )
    assert both.metric("ejections_total", service="shop") == 1
    assert (line["service"], line["endpoint"]) == ("shop", str(first))


async def test_health_checks_are_told_and_measured():
    """What fails its checks is unready for the balancer, the metric and the view."""
    server = await asyncio.start_server(
        lambda _reader, writer: writer.close(), "127.0.0.1", 0
    )
    up = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    check = {"interval": 0.02, "fall": 2}
    shop = {"source": "static", "endpoints": [up, "127.0.0.1:9"], "check": check}
    with logged() as log:
        async with server, Assembly(services={"shop": shop}) as known:
            await fulfilled(
                lambda: known.metric("endpoints", service="shop", state="unready") == 1
            )
            picked = {str(known.discovery.balancer.pick("shop")) for _ in range(20)}

    assert picked == {up}
    assert "discovery_endpoint_ill" in [each["event"] for each in log.lines]


async def test_outage_is_told_once(tmp_path):
    """A source that is away is one warning, however often it is asked."""
    with logged() as log:
        async with Assembly(
            services={"shop": {"source": "leases"}},
            leases={**STORE, "interval": 0.02},
        ) as known:
            await fulfilled(lambda: known.metric("errors_total", service="shop") > 2)
            seen = known.discovery.view()["services"]["shop"]

    lost = [e for e in log.lines if e["event"] == "discovery_source_lost"]
    assert len(lost) == 1
    assert seen["failing"]
    assert seen["heard_seconds_ago"] is None


async def test_readiness_asks_only_for_what_is_required():
    """A service that is not required keeps nobody unready."""
    leases = {"leases": {**STORE, "interval": 0.05}}
    away = {"source": "leases"}
    relaxed = Assembly(services={"shop": away, "bank": STATIC}, **leases)
    strict = Assembly(services={"shop": {**away, "required": True}}, **leases)

    assert not hasattr(relaxed.parts[0], "check")
    async with strict:
        with pytest.raises(Exception, match="shop"):
            await strict.parts[0].check()


async def test_all_sources_are_one_registry():
    """Each service is asked of its own source; start waits for none that is away."""
    services = {
        "fixed": STATIC,
        "named": {"source": "dns", "port": 80, "name": "shop.invalid."},
        "leased": {"source": "leases"},
        "slices": {"source": "kubernetes", "name": "shops/shop", "port": "http"},
    }
    known = Assembly(services=services, leases=STORE, dns={"servers": ["127.0.0.1:9"]})

    view = known.discovery.view()["services"]
    assert {name: each["source"] for name, each in view.items()} == {
        "fixed": "static",
        "named": "dns",
        "leased": "leases",
        "slices": "kubernetes",
    }


@pytest.mark.parametrize(
    "values",
    [
        {"services": {"shop": {"source": "static"}}},
        {"services": {"shop": {"source": "leases"}}},
        {"services": {"Shop!": STATIC}},
        {"services": {"shop": {"source": "dns", "endpoints": ["a:1"]}}},
        {"services": {"shop": {"source": "dns", "port": "http"}}},
        {"services": {"shop": {"source": "kubernetes", "name": "a/b/c"}}},
        {"services": {"shop": {**STATIC, "endpoints": ["a:99999"]}}},
        {"services": {"shop": {**STATIC, "endpoints": ["http://a:1"]}}},
        {"announce": {"service": "shop", "address": "a:1"}},
        {"announce": {"service": "shop"}, "leases": STORE},
        {"leases": {"store": "http://cache"}},
        {"dns": {"ttl_least": 5, "ttl_most": 1}},
    ],
    ids=str,
)
def test_settings_that_fit_nothing_are_refused(values):
    """Before anything starts."""
    with pytest.raises(ValidationError):
        settings(**values)


def test_nothing_is_there_without_a_service():
    """No part, no metric, no import of any client."""
    service = create_service(SettingsStore.of(Settings()))
    code = (
        "import sys; from service.app import create_app; create_app(); "
        "print([m for m in sys.modules if m.split('.')[0] in "
        "('dns', 'kubernetes', 'redis') or m.startswith('service.discovery.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )

    assert not [each for each in service.parts if "discovery" in each.name]
    assert b"httpserver_discovery" not in service.metrics.render("")[0]
    assert done.stdout.strip() == "[]"
