"""Rows of the runtime dashboard: how pods live, what they are told, the sample."""

from collections.abc import Sequence

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from tools.dashboards.panels import graph, table
from tools.dashboards.queries import PODS, Query, increase, quantile, rate

__all__ = ["CERTIFICATE_LEFT", "NOT_AFTER", "life", "sample", "settings", "telemetry"]

NOT_AFTER = "httpserver_tls_certificate_not_after_timestamp_seconds"

DAY = 86_400

CERTIFICATE_LEFT = (21 * DAY, 7 * DAY)
"""Seconds before its end at which a certificate turns orange, and red."""

Panels = Sequence[Builder[models.Panel]]


def life() -> Panels:
    """Return phases, starts and versions."""
    return [
        graph(
            "Pods by phase",
            Query(
                f"sum by (phase) (httpserver_lifecycle_phase{{{PODS}}})", "{{phase}}"
            ),
            stacked=True,
            shows="Pods that start, are ready, drain, stop.",
            good="All ready; in a rollout one more, and one that drains.",
            bad="Pods that stay in `starting`: readiness names the part that is "
            "missing.",
            unit="none",
        ),
        graph(
            "Time since the start",
            Query(f"time() - process_start_time_seconds{{{PODS}}}", "{{pod}}"),
            shows="Age of each process. A saw tooth is a container that restarts.",
            good="Rising lines.",
            bad="A line that falls back to 0: a crash, or a kill by memory or "
            "liveness.",
            unit="s",
        ),
        graph(
            "Requests while draining",
            Query(
                rate("httpserver_drain_requests_total", by="pod", where=PODS), "{{pod}}"
            ),
            shows="Requests per second that still came to a pod that is going.",
            good="They end before the drain does.",
            bad="They come up to the end: `server.drain_delay` is too short.",
            unit="reqps",
        ),
        graph(
            "Changes of phase",
            Query(
                increase(
                    "httpserver_lifecycle_transitions_total", by="phase", where=PODS
                ),
                "{{phase}}",
            ),
            shows="Phases that were entered.",
            good="None but in a rollout.",
            bad="`starting` again and again: crashes.",
            unit="none",
        ),
        table(
            "What runs",
            {
                "Pods": (
                    Query(
                        "count by (namespace, version, python)"
                        f" (httpserver_build_info{{{PODS}}})",
                        now=True,
                    ),
                    "none",
                )
            },
            rows=["namespace", "version", "python"],
            shows="Pods by version of the service and of Python.",
            good="One row a namespace.",
            bad="Two, and no rollout goes on: it got stuck.",
            unit="none",
        ),
        table(
            "Interpreters",
            {
                "Pods": (
                    Query(
                        f"count by (implementation, version) (python_info{{{PODS}}})",
                        now=True,
                    ),
                    "none",
                )
            },
            rows=["implementation", "version"],
            shows="Pods by interpreter.",
            good="One row.",
            bad="Two: images that were built apart.",
            unit="none",
        ),
    ]


def settings() -> Panels:
    """Return what tells whether the settings and certificates on the disk are used."""
    return [
        graph(
            "Reloads of the settings",
            Query(
                increase("httpserver_config_reloads_total", by="result", where=PODS),
                "{{result}}",
            ),
            shows="Reloads by result.",
            good="`changed` once a pod after each change of the ConfigMap.",
            bad="`failed`: the file is broken, the old settings hold.",
            unit="none",
        ),
        graph(
            "Age of the settings",
            Query(
                "time() - max by (pod)"
                f" (httpserver_config_last_reload_success_timestamp_seconds{{{PODS}}})",
                "{{pod}}",
            ),
            shows="Time since each pod read its settings with success.",
            good="All pods fall together after a change.",
            bad="One that stays behind: it has other settings than the rest.",
            unit="s",
        ),
        graph(
            "Settings and certificates in use",
            Query(
                f"min by (pod) (httpserver_config_reload_success{{{PODS}}})", "{{pod}}"
            ),
            Query(
                f"min by (pod) (httpserver_tls_reload_success{{{PODS}}})",
                "{{pod}} certificates",
            ),
            shows="1 where what is on the disk is in use.",
            good="All at 1.",
            bad="0: that pod keeps the old settings or certificate; its log tells why.",
            unit="none",
        ),
        graph(
            "Time left of the certificates",
            Query(
                f"min by (pod, certificate) ({NOT_AFTER}{{{PODS}}}) - time()",
                "{{pod}} {{certificate}}",
            ),
            width=12,
            shows="Until the certificates in use end; nothing where the pods have no "
            "TLS.",
            good="It jumps up by itself, 30 days before the end.",
            bad="Below a week (red).",
            unit="s",
            limits=CERTIFICATE_LEFT,
        ),
        graph(
            "Reloads of the certificates",
            Query(
                increase("httpserver_tls_reloads_total", by="result", where=PODS),
                "{{result}}",
            ),
            width=12,
            shows="Reloads of the certificate files by result; nothing without TLS.",
            good="`changed` once a pod at each renewal.",
            bad="`failed`: key and certificate do not fit, or can't be read.",
            unit="none",
        ),
    ]


def telemetry() -> Panels:
    """Return what becomes of the metrics and traces that are sent away."""
    return [
        graph(
            "Pushes of the metrics",
            Query(
                increase("httpserver_metrics_pushes_total", by="result", where=PODS),
                "{{result}}",
            ),
            width=12,
            shows="Pushes to a collector by result; all 0 where `metrics.push` is off.",
            good="`success` alone.",
            bad="`failure`: the collector is away or refuses; values come with the "
            "next.",
            unit="none",
        ),
        graph(
            "Spans of traces",
            Query(
                increase("httpserver_trace_spans_exported_total", where=PODS),
                "exported",
            ),
            Query(
                increase(
                    "httpserver_trace_spans_dropped_total", by="reason", where=PODS
                ),
                "dropped, {{reason}}",
            ),
            Query(
                increase("httpserver_trace_export_failures_total", where=PODS),
                "exports that failed",
            ),
            width=12,
            shows="Spans that went to the collector and that were lost; nothing where "
            "`tracing.exporter` is `none`.",
            good="None is lost.",
            bad="`queue_full`: a larger `tracing.queue_size` or a lower ratio. "
            "`export_failed`: the collector is away.",
            unit="none",
        ),
    ]


def sample() -> Panels:
    """Return the panels of the made-up work."""
    jobs = "httpserver_sample_job_duration_seconds"
    return [
        graph(
            "Jobs",
            Query(
                rate("httpserver_sample_jobs_total", by="pod", where=PODS), "{{pod}}"
            ),
            width=6,
            shows="Made-up jobs per second, so that a fresh Prometheus has a counter.",
            good="0.5 a pod.",
            bad="0: the loop stands, or `metrics.sample` is off.",
            unit="ops",
        ),
        graph(
            "Queue",
            Query(f"sum by (pod) (httpserver_sample_queue_depth{{{PODS}}})", "{{pod}}"),
            width=6,
            shows="Made-up jobs that wait, as an example of a gauge.",
            good="It comes and goes.",
            bad="Nothing can be: it is made up.",
            unit="none",
        ),
        graph(
            "Job duration",
            Query(quantile(0.5, jobs, where=PODS), "p50"),
            Query(quantile(0.99, jobs, where=PODS), "p99"),
            width=6,
            shows="How long made-up jobs took, as an example of a histogram.",
            good="About alike.",
            bad="Nothing can be: it is made up.",
            unit="s",
        ),
        graph(
            "Job size",
            Query(
                f"{rate('httpserver_sample_job_size_bytes_sum', where=PODS)}"
                f" / {rate('httpserver_sample_job_size_bytes_count', where=PODS)}",
                "mean",
            ),
            width=6,
            shows="Mean size of made-up jobs, as an example of a summary.",
            good="About alike.",
            bad="Nothing can be: it is made up.",
            unit="bytes",
        ),
    ]
