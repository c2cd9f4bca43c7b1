"""
The processes: what they use, how they live, which settings and certificates they have.
For the question whether it is the service or the machine under it.
"""

from collections.abc import Sequence

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from tools.dashboards import frame, pods
from tools.dashboards.panels import graph, heat, number
from tools.dashboards.queries import PODS, Query, increase, quantile, rate

__all__ = ["dashboard"]

LAG = "httpserver_event_loop_lag_seconds"

Panels = Sequence[Builder[models.Panel]]


def dashboard() -> models.Dashboard:
    """Return the dashboard of the processes."""
    return frame.dashboard(
        "runtime",
        "httpserver / runtime",
        {
            "Now": _now(),
            "Resources": _resources(),
            "Event loop and connections": _loop(),
            "Life of the pods": pods.life(),
            "Settings and certificates": pods.settings(),
            "Metrics and traces that are sent": pods.telemetry(),
            "Sample application": pods.sample(),
        },
        description=(
            "CPU, memory, event loop, connections, restarts, settings and certificates "
            "of each pod. A pod with workers counts as one."
        ),
    )


def _now() -> Panels:
    return [
        number(
            "Ready pods",
            Query(f'sum(httpserver_lifecycle_phase{{{PODS},phase="ready"}})'),
            shows="Pods that take requests.",
            good="As many as the Deployment asks for.",
            bad="Fewer for longer than a rollout takes: see the phases below.",
            unit="none",
        ),
        number(
            "Versions",
            Query(f"count(count by (version) (httpserver_build_info{{{PODS}}}))"),
            shows="Different versions that run.",
            good="1.",
            bad="2 for long: a rollout that got stuck.",
            unit="none",
            limits=(1.5, 2.5),
        ),
        number(
            "Restarts",
            Query(
                f"sum(changes(process_start_time_seconds{{{PODS}}}[$__range]))",
                now=True,
            ),
            shows="Restarts of containers within the time that is shown; new pods are "
            "no restarts.",
            good="0.",
            bad="Any: the container's last state tells why (OOMKilled, liveness, "
            "error).",
            unit="none",
            limits=(0.5, 3),
        ),
        number(
            "Youngest pod",
            Query(f"min(time() - process_start_time_seconds{{{PODS}}})"),
            shows="Seconds since the last start of a process.",
            good="Since the last rollout.",
            bad="Minutes, again and again: pods crash or are evicted.",
            unit="s",
        ),
        number(
            "Settings in use",
            Query(f"min(httpserver_config_reload_success{{{PODS}}})"),
            shows="1 when every pod uses the settings that are on its disk.",
            good="1.",
            bad="0: the file is broken and the old settings hold; the log names the "
            "line.",
            unit="none",
            limits=(1, 0.5),
        ),
        number(
            "Certificate",
            Query(f"min({pods.NOT_AFTER}{{{PODS}}}) - time()"),
            empty="no TLS",
            shows="Time until the first certificate in use ends.",
            good="More than 30 days: cert-manager renews then.",
            bad="Less than a week: nobody renews it.",
            unit="s",
            limits=pods.CERTIFICATE_LEFT,
        ),
    ]


def _resources() -> Panels:
    return [
        graph(
            "CPU",
            Query(rate("process_cpu_seconds_total", by="pod", where=PODS), "{{pod}}"),
            shows="Processor time of each pod; 100 % is one core.",
            good="Below the limit of the container, which is a quarter of a core "
            "unless you set it.",
            bad="At the limit: the kernel makes the pod wait, and the event loop lags.",
            unit="percentunit",
        ),
        graph(
            "Memory",
            Query(f"sum by (pod) (process_resident_memory_bytes{{{PODS}}})", "{{pod}}"),
            shows="Resident memory of each pod, its workers included.",
            good="Level after the first minutes.",
            bad="Steady growth: a leak. At the limit of the container it is killed.",
            unit="bytes",
        ),
        graph(
            "Open files",
            Query(
                f"max by (pod) (process_open_fds{{{PODS}}}"
                f" / process_max_fds{{{PODS}}})",
                "{{pod}}",
            ),
            shows="Open files and sockets as a share of what the process may have.",
            good="Below 80 %.",
            bad="Above: no connection can be taken soon.",
            unit="percentunit",
            limits=(0.6, 0.8),
        ),
        graph(
            "Garbage collections",
            Query(
                rate("python_gc_collections_total", by="generation", where=PODS),
                "generation {{generation}}",
            ),
            shows="Collections per second of all pods, by generation.",
            good="Generation 2 far below one per second.",
            bad="Generation 2 often: each one makes requests wait.",
            unit="ops",
        ),
        graph(
            "Collected objects",
            Query(
                rate("python_gc_objects_collected_total", by="generation", where=PODS),
                "generation {{generation}}",
            ),
            Query(
                rate("python_gc_objects_uncollectable_total", where=PODS),
                "not collectable",
            ),
            shows="Objects per second that were freed by collections.",
            good="Few: nothing makes circles at each request.",
            bad="It grows with the requests, or any that can't be collected.",
            unit="ops",
        ),
        graph(
            "Address space",
            Query(f"sum by (pod) (process_virtual_memory_bytes{{{PODS}}})", "{{pod}}"),
            shows="Address space of each pod; most of it is not memory in use.",
            good="Level.",
            bad="Steady growth while memory is level: threads or mappings are left "
            "over.",
            unit="bytes",
        ),
    ]


def _loop() -> Panels:
    stood = (
        f"{increase(f'{LAG}_count', by='pod, loop', where=PODS)}"
        f" - {increase(f'{LAG}_bucket', by='pod, loop', where=_within_a_second())}"
    )
    return [
        heat(
            "Event loop lag",
            Query(
                increase(f"{LAG}_bucket", by="le", where=f'{PODS},loop="main"'),
                "{{le}}",
            ),
            shows="How late the loops of requests wake, sampled four times a second.",
            good="All of it in the lowest rows.",
            bad="Cells above 0.1 s: something blocks the loop for so long.",
            unit="s",
        ),
        graph(
            "Event loop lag, p99",
            Query(quantile(0.99, LAG, by="pod, loop", where=PODS), "{{pod}} {{loop}}"),
            shows="How late each loop wakes, 99 of 100 times at most; `admin` answers "
            "probes and scrapes.",
            good="Some milliseconds.",
            bad="`main` alone: a handler blocks. Both: too little CPU.",
            unit="s",
            width=12,
            height=9,
            limits=(0.05, 0.1),
        ),
        graph(
            "Stood still for a second",
            Query(stood, "{{pod}} {{loop}}"),
            shows="How often a loop woke more than a second late: no quantile shows "
            "it.",
            good="0.",
            bad="Any: a call that blocks (DNS, a file, a long computation), or a "
            "frozen node.",
            unit="none",
            limits=(0.5, 1),
        ),
        graph(
            "Connections by server",
            Query(f"sum by (server) (httpserver_connections{{{PODS}}})", "{{server}}"),
            shows="Open connections of the main and the admin server.",
            good="It follows the number of clients.",
            bad="It grows without more requests: clients that hold connections.",
            unit="none",
        ),
        graph(
            "Connections ended by the server",
            Query(
                rate(
                    "httpserver_connections_closed_total",
                    by="server, reason",
                    where=PODS,
                ),
                "{{server}} {{reason}}",
            ),
            stacked=True,
            shows="Connections per second that the server itself ended, by reason.",
            good="`idle_timeout` now and then.",
            bad="`silent`: connections without a request, a scanner or an attack. "
            "`write_timeout`: clients that do not read.",
            unit="cps",
        ),
    ]


def _within_a_second() -> str:
    return f'{PODS},le="1.0"'
