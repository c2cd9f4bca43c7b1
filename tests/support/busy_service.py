"""
A service that has done a bit of everything, and a Prometheus that looks at it: requests
that fail, wait, are refused, logins, faults, text messages, TLS, and a past of 3 hours.
"""

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import yaml

from tests.support import sms
from tests.support.certificates import Authority, TlsMount
from tests.support.control import AUTH, TOKEN
from tests.support.process import ServiceProcess, serving
from tests.support.prometheus import Prometheus, running
from tools.alert_rules import RULES

__all__ = ["LABELS", "PAST", "PODS", "busy_service", "use", "watching"]

LABELS = {"namespace": "shop", "pod": "httpserver-0"}
"""What discovery would add to every series."""

PODS = [LABELS["pod"], "httpserver-1"]
"""As which Prometheus takes the one process: queries must keep pods apart."""

PAST = "yesterday"
"""Namespace of made-up samples: an hour of 10 requests/s, of which 0.2 % miss both
objectives, and then an hour of 30 requests/s without a miss."""

_ALWAYS = {
    "alert": "HttpserverRehearsal",
    "expr": 'up{job="httpserver"} == 1',
    "labels": {"severity": "none"},
}
_NOWHERE = "http://127.0.0.1:1"
"""A collector that is away: spans are dropped, and exemplars are there."""

_EAGER = "127.0.0.2"
"""Address of a client that asks too often."""

_HOUR = 3600


@contextlib.contextmanager
def busy_service(folder: Path) -> Iterator[ServiceProcess]:
    """Run the service with all that has metrics switched on, and small limits."""
    tls = TlsMount(folder / "tls", Authority().server())
    config = folder / "settings.yaml"
    config.write_text("log: {level: info}\n")
    with sms.providing() as provider:
        section = sms.sms_section(url=provider.url)
        settings = {f"sms__{name}": _flag(value) for name, value in section.items()}
        with serving(
            "--config",
            str(config),
            environment={"HTTPSERVER_SERVER__ADMIN__CONTROL__TOKEN": TOKEN},
            server__admin__control__enabled=True,
            demo__delay_max=0.5,
            overload__adaptive=False,
            overload__max_in_flight=20,
            throttle__enabled=True,
            throttle__rate=5,
            throttle__burst=250,
            log__sampling__first=5,
            tracing__exporter="otlp",
            tracing__sample_ratio=1,
            tracing__interval=0.5,
            tracing__otlp__endpoint=_NOWHERE,
            **tls.flags(),
            **settings,
        ) as service:
            yield service


def use(service: ServiceProcess) -> None:
    """
    Let the service meet everything once, in about three seconds.

    However slow the machine is: many requests wait at once because they take a second,
    and one client has asked too often because it may ask so seldom.

    A rate needs two values of a series, and a series begins with its first request: so
    the service has to be used twice, with a scrape between.
    """
    admin = httpx2.Client(base_url=service.admin_url, headers=AUTH)
    public = httpx2.Client(base_url=service.url)
    # of another address, so that it uses up no other's right to ask
    way = httpx2.HTTPTransport(local_address=_EAGER)
    eager = httpx2.Client(base_url=service.url, transport=way)
    with admin, public, eager, ThreadPoolExecutor(40) as threads:
        _meet_each(admin, public)
        assert public.get("/").status_code == 200
        answers = threads.map(lambda _: public.get("/delay/1.5").status_code, range(40))
        assert set(answers) == {200, 503}
        answers = threads.map(lambda _: eager.get("/hello").status_code, range(300))
        assert 429 in set(answers)


def _meet_each(admin: httpx2.Client, public: httpx2.Client) -> None:
    fault = {"status": 503, "scope": {"route": "/version"}, "expires_in": 600}
    admin.post("/control/faults", json=fault)
    admin.get("/control/faults", headers={"authorization": "Bearer wrong"})
    for path in ("/version", "/nowhere", "/status/500"):
        public.get(path)
    public.post("/echo", content=b"x" * 1000)
    public.post("/user/login", json={"username": "ann", "password": "wrong"})
    alert = sms.alert(fingerprint=f"{time.time_ns():x}")
    message = sms.notification(alert, groupKey=str(time.time_ns()))
    admin.post("/alerts/sms", json=message, headers=sms.AUTH).raise_for_status()


@contextlib.contextmanager
def watching(service: ServiceProcess, folder: Path) -> Iterator[Prometheus]:
    """Run a Prometheus with our rules that scrapes *service* each second."""
    _remember(folder)
    address = service.admin_url.removeprefix("http://")
    pods = [{"targets": [address], "labels": LABELS | {"pod": pod}} for pod in PODS]
    config = {
        "global": {
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
            "evaluation_interval": "1s",
        },
        "rule_files": [str(_rules(folder))],
        "scrape_configs": [{"job_name": "httpserver", "static_configs": pods}],
    }
    option = "--enable-feature=exemplar-storage"
    with running(yaml.safe_dump(config), folder, option) as prometheus:
        yield prometheus


def _flag(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _rules(folder: Path) -> Path:
    """Write our rules, all of them worked out each second, and an alert that fires."""
    groups = [
        {name: part for name, part in group.items() if name != "interval"}
        for file in sorted(RULES.glob("*.yaml"))
        for group in yaml.safe_load(file.read_text())["groups"]
    ]
    groups.append({"name": "rehearsal", "rules": [_ALWAYS]})
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": groups}))
    return path


def _remember(folder: Path) -> None:
    """Write the past into the database of a Prometheus that is not yet running."""
    families = {
        'namespace_job_route:http_requests:rate5m{route="/",': (10.0, 30.0),
        "namespace_job:slo_availability_errors:ratio_rate5m{": (0.002, 0.0),
        "namespace_job:slo_latency_errors:ratio_rate5m{": (0.002, 0.0),
    }
    start = int(time.time()) // 60 * 60 - 3 * _HOUR
    lines = []
    for family, values in families.items():
        lines.append(f"# TYPE {family.partition('{')[0]} gauge")
        lines += [
            f'{family}namespace="{PAST}",job="httpserver"}} {values[at // _HOUR]}'
            f" {start + at}"
            for at in range(0, 2 * _HOUR, 60)
        ]
    source = folder / "past.txt"
    source.write_text("\n".join([*lines, "# EOF", ""]))
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics"]
    subprocess.run(
        [*command, str(source), str(folder / "data")], check=True, capture_output=True
    )
