"""
Rows of the overview: how near the service is to its limits, how large bodies are, and
what clients and operators do to it.
"""

from collections.abc import Sequence

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from tools.dashboards.panels import graph
from tools.dashboards.queries import PODS, Query, increase, mean, quantile, rate

__all__ = ["doings", "saturation", "sizes"]

Panels = Sequence[Builder[models.Panel]]


def saturation() -> Panels:
    """Return the limits, and who ran into them."""
    return [
        graph(
            "In flight",
            Query(f"sum by (pod) (http_requests_in_flight{{{PODS}}})", "{{pod}}"),
            Query(
                f"min(httpserver_in_flight_limit{{{PODS}}})", "lowest limit of a pod"
            ),
            shows="Requests that are being answered, by pod, and the lowest limit.",
            good="Every pod about alike, far below the limit.",
            bad="At the limit: requests are refused. A limit that falls: the service "
            "found itself overloaded and lets less in.",
            unit="none",
        ),
        graph(
            "Refusals by reason",
            Query(
                rate("httpserver_overload_refusals_total", by="reason", where=PODS),
                "{{reason}}",
            ),
            stacked=True,
            shows="Requests per second that were refused: `in_flight` and `delay` by "
            "shedding, `throttle` by the client's rate, `bulkhead` by a full part.",
            good="0.",
            bad="Shedding: more pods, or less work. Throttle alone: one client too "
            "eager.",
            unit="reqps",
        ),
        graph(
            "Refused by the listener",
            Query(
                rate(
                    "httpserver_requests_refused_total", by="server, reason", where=PODS
                ),
                "{{server}} {{reason}}",
            ),
            stacked=True,
            shows="Requests per second that no route has seen: malformed, too large, "
            "too slow, or one connection too many.",
            good="Near 0.",
            bad="`header_timeout`: slow clients or an attack. `too_many_connections`: "
            "raise the limit or add pods.",
            unit="reqps",
        ),
        graph(
            "Event loop lag, p99",
            Query(
                quantile(
                    0.99,
                    "httpserver_event_loop_lag_seconds",
                    by="pod",
                    where=f'{PODS},loop="main"',
                ),
                "{{pod}}",
            ),
            shows="How late the event loop of each pod wakes, 99 of 100 times at most.",
            good="Some milliseconds.",
            bad="Above 0.1 s: a handler blocks the loop, or the pod has too little "
            "CPU.",
            unit="s",
            limits=(0.05, 0.1),
        ),
        graph(
            "Connections",
            Query(
                f"sum by (pod, server) (httpserver_connections{{{PODS}}})",
                "{{pod}} {{server}}",
            ),
            stacked=True,
            shows="Open connections, by pod and server.",
            good="Spread over the pods.",
            bad="One pod has them all: kept-alive connections that nobody closes.",
            unit="none",
        ),
        graph(
            "Throttled clients",
            Query(f"sum by (pod) (httpserver_throttle_clients{{{PODS}}})", "{{pod}}"),
            Query(
                rate("httpserver_throttle_store_errors_total", where=PODS),
                "errors of the store per second",
            ),
            shows="Clients that the throttle remembers; calls of its store that "
            "failed.",
            good="As many clients as there are; no errors.",
            bad="Errors: each pod counts for itself, so clients get more than their "
            "rate.",
            unit="none",
        ),
    ]


def sizes() -> Panels:
    """Return the bytes of bodies."""
    sizes = [
        graph(
            f"Mean {what}",
            Query(mean(f"http_{part}_size_bytes", by="route"), "{{route}}"),
            shows=f"Mean bytes of a {part}'s body, by route.",
            good="What each route always had.",
            bad=bad,
            unit="bytes",
        )
        for what, part, bad in (
            ("request", "request", "Growth: somebody uploads what was not meant."),
            ("answer", "response", "Growth: a list without pages."),
        )
    ]
    traffic = graph(
        "Bytes per second",
        Query(rate("http_request_size_bytes_sum"), "in"),
        Query(rate("http_response_size_bytes_sum"), "out"),
        shows="Bytes of bodies per second, in and out.",
        good="It follows the requests.",
        bad="It grows alone: larger bodies, not more requests.",
        unit="binBps",
    )
    return [*sizes, traffic]


def doings() -> Panels:
    """Return logins, faults on purpose, the control endpoints."""
    return [
        graph(
            "Logins",
            Query(
                rate("httpserver_logins_total", by="result", where=PODS), "{{result}}"
            ),
            stacked=True,
            shows="Logins per second, by result.",
            good="Nearly all `success`.",
            bad="`wrong` and `throttled` together: somebody guesses passwords.",
            unit="reqps",
        ),
        graph(
            "Faults on purpose",
            Query(
                rate("httpserver_faults_injected_total", by="kind", where=PODS),
                "{{kind}} per second",
            ),
            Query(f"sum(httpserver_faults_active{{{PODS}}})", "in force"),
            shows="Faults that an operator put in by the control endpoints.",
            good="0, or an exercise that you know of.",
            bad="A fault that nobody remembers: end it with `DELETE /control/faults`.",
            unit="none",
        ),
        graph(
            "Control endpoints refused",
            Query(
                rate("httpserver_control_refusals_total", by="reason", where=PODS),
                "{{reason}}",
            ),
            stacked=True,
            shows="Requests to the control endpoints without the right token.",
            good="0.",
            bad="`wrong` or `throttled`: somebody guesses the token; rotate it.",
            unit="reqps",
        ),
        graph(
            "Text messages",
            Query(
                increase("httpserver_sms_messages_total", by="result", where=PODS),
                "{{result}}",
            ),
            Query(
                increase("httpserver_sms_refusals_total", by="reason", where=PODS),
                "token {{reason}}",
            ),
            width=12,
            shows="Messages that the gateway of alerts sent, and notifications "
            "without the right token; nothing where `sms.enabled` is not set.",
            good="`sent`, and as few as there are alerts.",
            bad="`failed` or `refused`: nobody is told of alerts. `throttled`: too "
            "many.",
            unit="none",
        ),
        graph(
            "Provider of text messages, p99",
            Query(
                quantile(0.99, "httpserver_sms_provider_duration_seconds", where=PODS),
                "p99",
            ),
            width=12,
            shows="Seconds that 99 of 100 requests to the provider of text messages "
            "take.",
            good="Below a second.",
            bad="Near `sms.timeout`: messages come late, or twice.",
            unit="s",
        ),
    ]
