"""What a phone shows of a notification."""

import pytest

from service.sms.notifications import Notification
from service.sms.texts import compose
from tests.support.sms import alert, notification


def text(*alerts, limit=306, **changes):
    document = notification(*alerts, **changes)
    return compose(Notification.model_validate(document), limit=limit)


def labelled(**labels):
    return alert(labels=labels, annotations={})


def test_alert_is_told_with_all_that_it_names():
    """Status, severity, name, namespace, route, summary."""
    assert (
        text()
        == "FIRING critical HttpserverErrors shop /cart: 5 % of the requests fail"
    )


def test_resolved_alert_says_so_first():
    """Nobody gets up for what is over."""
    resolved = alert(status="resolved")

    assert text(resolved, status="resolved").startswith("RESOLVED critical ")


@pytest.mark.parametrize(
    ("alerts", "changes", "expected"),
    [
        ([labelled()], {}, "FIRING"),
        ([labelled(alertname="A")] * 3, {}, "FIRING A (3)"),
        ([labelled(alertname="A")], {"truncatedAlerts": 7}, "FIRING A (8)"),
        (
            [labelled(alertname=name, namespace="n") for name in "ABC"],
            {},
            "FIRING A +2 (3) n",
        ),
        (
            [
                labelled(severity=s)
                for s in ("info", "odd", "critical", "warning", "error")
            ],
            {},
            "FIRING critical (5)",
        ),
        (
            [labelled(alertname="A"), alert(status="resolved")],
            {},
            "FIRING A",
        ),
        ([labelled(alertname="a" * 200)], {}, "FIRING " + "a" * 60),
        ([labelled(alertname="A\nRESOLVED B")], {}, "FIRING A RESOLVED B"),
    ],
    ids=[
        "nothing",
        "several",
        "truncated",
        "names",
        "most-urgent",
        "resolved-left-out",
        "long-name",
        "line-break",
    ],
)
def test_group_is_told_in_one_line(alerts, changes, expected):
    """What the alerts of a group have in common, and how many there are."""
    assert text(*alerts, **changes) == expected


def test_group_whose_alerts_have_another_status_is_told():
    """A body that contradicts itself makes a text, not an error."""
    assert text(labelled(alertname="A"), status="resolved") == "RESOLVED A"


def test_long_summary_is_cut():
    """The head is whole, the summary is not."""
    long = alert(annotations={"summary": "x" * 500})

    assert len(text(long, limit=160)) == 160
    assert text(long, limit=160).endswith("x...")
