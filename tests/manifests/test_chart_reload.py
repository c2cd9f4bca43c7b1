"""A live setting rolls no pod; every other one does (docs/adr/0002)."""

import json
from typing import Any

import pytest
import yaml

from service.settings import Settings, is_live
from tests.support.chart import CHART, Manifest, config_map, helm, only, render
from tools.chart_schema import config_schema, live_paths, secret_paths

CHECKSUM = "checksum/restart-config"


def leaves(schema: dict[str, Any], prefix: str = "") -> dict[str, dict[str, Any]]:
    """Every setting of the schema by its dotted path."""
    found = {}
    for name, part in schema["properties"].items():
        path = f"{prefix}{name}"
        found |= leaves(part, f"{path}.") if "properties" in part else {path: part}
    return found


SETTINGS = leaves(config_schema())
OTHERS = {
    "client.breaker_failure_rate": 0.9,
    "client.ca_file": "/etc/httpserver/ca.crt",
    "discovery.announce.address": "10.0.0.1:8080",
    "discovery.dns.servers": ["10.0.0.53:53"],
    "discovery.services": {"catalogue": {"source": "kubernetes"}},
    "fan_out.backends": ["http://other:8080/fan-out"],
    "fan_out.max_hops": 4,
    "files.max_stopped_uploads": 10,
    "files.s3.endpoint": "https://s3.example.com",
    "files.s3.prefix": "httpserver/",
    "files.stopped_upload_ttl": 60,
    "flags.flagd": "flagd:8015",
    "metrics.push.otlp.endpoint": "http://other:4317",
    "proxy.forbidden_networks": ["127.0.0.0/8"],
    "tracing.otlp.endpoint": "http://other:4317",
    "flags.rules": {"page": {"percentage": 10}},
    "log_service.jetstream.servers": ["nats://nats:4222"],
    "log_service.limits.max_message_bytes": 1_048_576,
    "log_service.permissions": {"billing": {"produce": ["records"]}},
    "log_service.streams": ["records", "audit"],
    "log.loggers": {"uvicorn.error": "debug"},
    "log.redact": ["password"],
    "log.sampling.levels": ["debug"],
    "metrics.buckets": [0.5, 1.0],
    "overload.bulkheads": {"demo": 500},
    "server.cors.expose": ["x-request-id"],
    "server.cors.headers": ["authorization"],
    "server.cors.methods": ["GET"],
    "server.cors.origins": ["https://app.example.com"],
    "server.hosts": ["httpserver.example.com"],
    "server.ports": [8082],
    "server.tls.ports": [9443],
    "server.trusted_proxies": ["10.0.0.0/8"],
    "phonebook.idempotency_ttl": 60,
    "phonebook.region": "DE",
    "proxy.breaker.failure_rate": 0.6,
    "proxy.max_connections": 100,
    "proxy.retry_ratio": 0.2,
    "proxy.routes": [{"path": "/catalogue/", "upstream": "http://catalogue"}],
    "sms.recipients": ["+15550100"],
    "tracing.sample_ratio": 0.5,
}
"""Values of settings that are lists or maps, or have an upper bound, other than the
defaults."""


def default(path: str) -> Any:
    """Look the default of a setting up."""
    value: Any = Settings().model_dump(mode="json")
    for name in path.split("."):
        value = value[name]
    return value


def another(path: str) -> Any:
    """Make an allowed value that is not the default."""
    value = default(path)
    if path in OTHERS:
        return OTHERS[path]
    if "enum" in SETTINGS[path]:
        return next(one for one in SETTINGS[path]["enum"] if one != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return value + "x"
    assert isinstance(value, int | float), f"name another value of {path} in OTHERS"
    return value + 1


def rendered(*paths: str) -> tuple[Manifest, Manifest]:
    """Deployment and ConfigMap with other values at *paths*."""
    sets = [f"config.{path}={json.dumps(another(path))}" for path in paths]
    # TLS asks for a certificate; without TLS nobody looks at it. What keeps its own
    # state, as the phone book and the log do, asks for one pod
    manifests = render(sets=('tls.secretName="given"', "replicas=1", *sets))
    return only(manifests, "Deployment"), config_map(manifests)


def test_live_settings_leave_the_deployment_as_it_is() -> None:
    """All live settings changed at once change the ConfigMap and nothing else."""
    deployment, config = rendered()
    changed_deployment, changed_config = rendered(*live_paths())
    text = yaml.safe_load(changed_config["data"]["config.yaml"])

    assert changed_deployment == deployment
    assert changed_config != config
    assert text["log"]["level"] == another("log.level")


@pytest.mark.parametrize("path", sorted(set(SETTINGS) - set(live_paths())))
def test_restart_only_setting_rolls_the_pods(path: str) -> None:
    """Each setting that is not live changes the checksum on the pod template."""
    deployment, _ = rendered()
    changed, _ = rendered(path)
    annotations = [
        one["spec"]["template"]["metadata"]["annotations"][CHECKSUM]
        for one in (deployment, changed)
    ]

    assert annotations[0] != annotations[1]


def test_log_level_is_live() -> None:
    """The setting that people change most needs no restart."""
    assert {"log.level", "log.loggers", "demo.delay_max"} <= set(live_paths())


def test_every_secret_setting_is_live() -> None:
    """The Secret has no checksum, so what it holds must be read without a restart."""
    for path in secret_paths():
        *sections, name = path.split(".")
        model: Any = Settings
        for section in sections:
            model = model.model_fields[section].annotation

        assert is_live(model, name), path


def test_settings_folders_are_mounted_whole() -> None:
    """The kubelet swaps a mounted folder, but never a file mounted by subPath."""
    deployment, _ = rendered()
    container = deployment["spec"]["template"]["spec"]["containers"][0]

    assert not any("subPath" in mount for mount in container["volumeMounts"])


@pytest.mark.parametrize(
    ("sets", "seconds"),
    [
        ((), 35),
        (("preStopSleepSeconds=5",), 40),
        (("config.server.hard_limit=60",), 65),
        (("config.server.drain_delay=0.5", "config.server.grace_period=1.2"), 35),
        (("config.server.hard_limit=30.5",), 36),
        (("terminationGracePeriodSeconds=30",), 30),
        (("terminationGracePeriodSeconds=300",), 300),
    ],
)
def test_termination_period_covers_a_clean_stop(
    sets: tuple[str, ...], seconds: int
) -> None:
    """preStop, drain, grace and a margin fit; the process's own limit comes first."""
    spec = only(render(sets=sets), "Deployment")["spec"]["template"]["spec"]

    assert spec["terminationGracePeriodSeconds"] == seconds


def test_termination_period_that_is_too_short_is_refused() -> None:
    """The message names the numbers and what to do."""
    done = helm(
        "template",
        "httpserver",
        str(CHART),
        "--set=terminationGracePeriodSeconds=34,preStopSleepSeconds=5",
    )

    assert done.returncode != 0
    assert (
        "terminationGracePeriodSeconds is 34, but a clean stop may take 35 s: "
        "preStopSleepSeconds 5 + config.server.drain_delay 5 "
        "+ config.server.grace_period 20 + 5." in done.stderr
    )
