"""What a scrape gets: names, forms, values, and nothing of another service."""

import re

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families

from service.observability.metrics import LifecycleMetrics, Metrics
from service.observability.sample_metrics import SampleMetrics
from service.settings import MetricsSettings

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
CONTRACT = {
    "http_requests": "counter",
    "http_request_duration_seconds": "histogram",
    "http_requests_in_flight": "gauge",
    "http_request_size_bytes": "summary",
    "http_response_size_bytes": "summary",
    "httpserver_random_delay_seconds": "histogram",
    "httpserver_build_info": "gauge",
    "httpserver_event_loop_lag_seconds": "histogram",
    "httpserver_config_reload_success": "gauge",
    "httpserver_config_reloads": "counter",
    "httpserver_config_last_reload_success_timestamp_seconds": "gauge",
    "httpserver_lifecycle_phase": "gauge",
    "httpserver_lifecycle_transitions": "counter",
    "httpserver_sample_jobs": "counter",
    "httpserver_sample_queue_depth": "gauge",
    "httpserver_sample_job_duration_seconds": "histogram",
    "httpserver_sample_job_size_bytes": "summary",
    "process_cpu_seconds": "counter",
    "process_resident_memory_bytes": "gauge",
    "python_gc_collections": "counter",
    "python_info": "gauge",
}


@pytest.fixture
def metrics():
    return Metrics(MetricsSettings(), version="1.2.3")


@pytest.fixture
def used(metrics):
    """Every metric has a value."""
    SampleMetrics(metrics).work()
    metrics.http.begin()
    metrics.http.end(
        method="GET",
        route='/say/"{what}"\\',
        status=200,
        duration=0.25,
        request_bytes=0,
        response_bytes=5,
        exemplar={"trace_id": "abc"},
    )
    metrics.random_delay.observe(1.5)
    metrics.loop_lag.labels("main").observe(0.001)
    metrics.lifecycle.enter("ready")
    metrics.logins.labels("success").inc()
    return metrics


def families(metrics: Metrics, **options) -> dict[str, object]:
    body, _ = metrics.render("", **options)
    return {each.name: each for each in text_string_to_metric_families(body.decode())}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_every_metric_is_there_with_its_type(used):
    """The names that dashboards and alerts rely on."""
    found = {name: family.type for name, family in families(used).items()}

    assert found.items() >= CONTRACT.items()


def test_openmetrics_is_given_to_who_asks(used):
    """The form is valid to a strict parser and carries the exemplar."""
    body, media_type = used.render(OPENMETRICS)

    found = {each.name: each for each in parse_openmetrics(body.decode())}
    assert media_type.startswith("application/openmetrics-text; version=1.0.0")
    assert found.keys() >= CONTRACT.keys()
    buckets = found["http_request_duration_seconds"].samples
    assert {"trace_id": "abc"} in [s.exemplar.labels for s in buckets if s.exemplar]


def test_prometheus_itself_gets_openmetrics(used):
    """Its own Accept header, as version 3 sends it."""
    assert used.render(PROMETHEUS)[1].startswith("application/openmetrics-text")


@pytest.mark.parametrize(
    "accept",
    [
        "", "*/*", "text/html",
        "application/openmetrics-text;version=abc",
        "application/openmetrics-text;version=",
        "application/openmetrics-text;version=1.0.0.0.é",
        "text/plain;version=1e9",
    ],
)  # fmt: skip
def test_anything_else_gets_the_plain_text_form(used, accept):
    """Even an Accept header that makes no sense is no failed scrape."""
    body, media_type = used.render(accept)

    assert media_type == "text/plain; version=0.0.4; charset=utf-8"
    assert b"http_requests_total" in body


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_name_follows_the_conventions(used, name):
    """promtool's rules: base units, no type in the name, help that says something."""
    family = families(used)[name]

    assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
    assert len(family.documentation) > 10
    units = ("milliseconds", "microseconds", "minutes", "kilobytes", "percent", "_ms")
    assert not any(each in name for each in units)
    assert not re.search(r"_(counter|gauge|histogram|summary)(_|$)", name)
    suffixes = ("_total", "_count", "_sum", "_bucket")
    assert not name.endswith(suffixes)
    for sample in family.samples:
        assert not (sample.name.endswith("_total") and family.type != "counter")
        assert all(label.islower() for label in sample.labels)


def test_times_of_creation_are_left_out(used):
    """They would double the series."""
    for accept in ("", OPENMETRICS):
        assert b"_created" not in used.render(accept)[0]


def test_single_names_can_be_asked_for(used):
    """A family by its name, or one series of it."""
    assert set(families(used, names=["http_requests_in_flight"])) == {
        "http_requests_in_flight"
    }
    found = families(used, names=["http_request_duration_seconds_count"])
    assert [s.name for s in found["http_request_duration_seconds"].samples] == [
        "http_request_duration_seconds_count"
    ]
    whole = families(used, names=["http_request_duration_seconds"])
    assert len(whole["http_request_duration_seconds"].samples) > 3
    assert families(used, names=["no_such_metric"]) == {}


def test_label_values_are_escaped(used):
    """Quotes and backslashes of a route survive."""
    (sample,) = families(used)["http_requests"].samples

    assert sample.labels["route"] == '/say/"{what}"\\'


def test_two_services_in_one_process_do_not_meet(used):
    """Each has its own registry."""
    other = Metrics(MetricsSettings(), version="9")

    assert value(other, "httpserver_random_delay_seconds_count") == 0
    assert value(used, "httpserver_random_delay_seconds_count") == 1


def test_buckets_come_from_the_settings():
    """Latency and random delay share them."""
    metrics = Metrics(MetricsSettings(buckets=[0.5, 3.0]), version="1")

    samples = families(metrics)["httpserver_random_delay_seconds"].samples
    bounds = [s.labels["le"] for s in samples if "le" in s.labels]
    assert bounds == ["0.5", "3.0", "+Inf"]


def test_build_info_tells_versions(metrics):
    """Version of the service and of Python."""
    (sample,) = families(metrics)["httpserver_build_info"].samples

    assert sample.value == 1
    assert sample.labels["version"] == "1.2.3"
    assert re.fullmatch(r"3\.\d+\.\d+.*", sample.labels["python"])


def test_one_phase_is_current(metrics):
    """The phase is 1, all others 0; each entry counts."""
    for phase in LifecycleMetrics.PHASES[:3]:
        metrics.lifecycle.enter(phase)

    phases = {
        phase: value(metrics, "httpserver_lifecycle_phase", phase=phase)
        for phase in LifecycleMetrics.PHASES
    }
    assert phases == {
        "starting": 0, "ready": 0, "draining": 1, "stopping": 0, "stopped": 0,
    }  # fmt: skip
    entered = value(metrics, "httpserver_lifecycle_transitions_total", phase="draining")
    assert entered == 1


def test_failed_reload_shows_until_one_succeeds(metrics):
    """Gauge for the alert, counter for the history, time of the last success."""
    stamp = "httpserver_config_last_reload_success_timestamp_seconds"
    started = value(metrics, stamp)
    metrics.reloaded("failed")

    assert value(metrics, "httpserver_config_reload_success") == 0
    assert value(metrics, stamp) == started

    metrics.reloaded("unchanged")
    metrics.reloaded("changed")

    assert value(metrics, "httpserver_config_reload_success") == 1
    assert value(metrics, stamp) >= started
    counts = {
        result: value(metrics, "httpserver_config_reloads_total", result=result)
        for result in ("changed", "unchanged", "failed")
    }
    assert counts == {"changed": 1, "unchanged": 1, "failed": 1}


def test_series_that_alerts_rely_on_exist_from_the_start(metrics):
    """A first failure is an increase only if there was a zero before."""
    reloads = "httpserver_config_reloads_total"

    assert value(metrics, reloads, result="failed") == 0
    assert value(metrics, "httpserver_config_reload_success") == 1
    assert value(metrics, "http_requests_in_flight") == 0
