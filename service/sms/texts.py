"""
One short text for a notification: what a phone shows before anybody unlocks it.

    FIRING critical HttpserverDown (3) shop /cart: No pod of httpserver answers
    RESOLVED critical HttpserverDown (3) shop /cart: No pod of httpserver answers
"""

from collections.abc import Iterable, Sequence

from service.sms.alphabet import fitting, single_line
from service.sms.notifications import Alert, Notification

__all__ = ["compose"]

SEVERITIES = ("critical", "error", "warning", "info")
"""The most urgent first; others come last."""

_SHOWN = 60
"""Characters of a name; longer ones would leave no room for the summary."""


def compose(notification: Notification, *, limit: int) -> str:
    """
    Return the text.

    Args:
        notification: What it is of.
        limit: Longest text, as characters of the GSM alphabet.
    """
    alerts = [
        each for each in notification.alerts if each.status == notification.status
    ] or notification.alerts
    count = len(alerts) + notification.truncated
    words = [
        notification.status.upper(),
        _severity(alerts),
        _names("alertname", alerts),
        f"({count})" if count > 1 else "",
        _names("namespace", alerts),
        _names("route", alerts),
    ]
    head = " ".join(word for word in words if word)
    summary = _summary(alerts)
    return fitting(f"{head}: {summary}" if summary else head, limit)


def _severity(alerts: Sequence[Alert]) -> str:
    """Return the most urgent severity."""
    found = {single_line(each.labels.get("severity", "")) for each in alerts} - {""}
    ranks = {name: rank for rank, name in enumerate(SEVERITIES)}
    by_rank = sorted(found, key=lambda name: (ranks.get(name, len(ranks)), name))
    return by_rank[0][:_SHOWN] if by_rank else ""


def _names(label: str, alerts: Sequence[Alert]) -> str:
    """Return the label's first value, and how many others there are."""
    values = _distinct(each.labels.get(label, "") for each in alerts)
    more = f" +{len(values) - 1}" if len(values) > 1 else ""
    return values[0][:_SHOWN] + more if values else ""


def _summary(alerts: Sequence[Alert]) -> str:
    found = _distinct(each.annotations.get("summary", "") for each in alerts)
    return found[0] if found else ""


def _distinct(texts: Iterable[str]) -> list[str]:
    return [each for each in dict.fromkeys(map(single_line, texts)) if each]
