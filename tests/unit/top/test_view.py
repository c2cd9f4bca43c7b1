"""What is shown: at every width, of hostile labels, and numbers in few characters."""

import pytest
from rich.cells import cell_len
from rich.console import Console

from service.top.fleet import Look
from service.top.overview import Order, Overview, RouteRow
from service.top.view import render
from service.top.watching import as_text
from service.top.words import (
    bytes_text,
    duration_text,
    number_text,
    percent_text,
    sparkline,
    uptime_text,
)

ROUTES = [
    RouteRow(route=f"/route/{n}", rate=n, p50=0.1, p90=0.2, p99=1.5, errors=0.5)
    for n in range(30)
]


def look(**fields) -> Look:
    now = Overview(
        versions=["0.1.0"],
        phases={"ready": 1},
        uptime=75,
        rate=12.3,
        in_flight=3,
        in_flight_limit=400,
        errors=0.01,
        statuses={"200": 12.2, "503": 0.1},
        refusals={"in_flight": 1.0},
        routes=ROUTES,
    )
    defaults = {
        "overview": now,
        "replicas": 1,
        "answered": 1,
        "problems": {},
        "wrong": frozenset(),
        "measured": True,
    }
    return Look(**defaults | fields)


def lines(of: Look, width: int, height: int | None = None) -> list[str]:
    console = Console(width=width, color_system=None)
    drawn = render(
        of,
        title="http://127.0.0.1:9090/metrics",
        width=width,
        height=height,
        history=[1, 2, 3],
        hint="q quit",
    )
    with console.capture() as captured:
        console.print(drawn)
    return captured.get().splitlines()


@pytest.mark.parametrize("width", [10, 20, 32, 45, 64, 80, 132, 300])
@pytest.mark.parametrize("height", [5, 14, 24, 60])
def test_nothing_sticks_out(width, height):
    """Every size shows the rate and the first route, and no line is too long."""
    shown = lines(look(), width, height)

    assert all(cell_len(line) <= width for line in shown)
    if width >= 32 and height >= 14:
        assert len(shown) <= height
        assert any("12.3/s" in line for line in shown)
        assert any(line.startswith("/route/29") for line in shown)
        assert shown[-1].strip() == "q quit"


def test_routes_that_do_not_fit_are_counted():
    """Nothing is left out silently."""
    shown = lines(look(), 100, 20)
    routes = [line for line in shown if line.startswith("/route/")]

    assert f"and {30 - len(routes)} more routes" in shown[-2]


def test_columns_go_by_importance():
    """The rate stays longest, bytes go first."""
    headings = {width: lines(look(), width) for width in (25, 45, 75, 100)}
    found = {
        width: next(line.split() for line in shown if line.startswith("route "))
        for width, shown in headings.items()
    }

    assert found == {
        25: ["route", "req/s"],
        45: ["route", "req/s", "p99", "errors"],
        75: ["route", "req/s", "p50", "p90", "p99", "errors"],
        100: ["route", "req/s", "p50", "p90", "p99", "errors", "bytes/s"],
    }


def test_label_can_not_steer_the_terminal():
    """Escape sequences of a hostile service are shown as question marks."""
    evil = "\x1b[2J\x9b31m\x07[red]"
    now = Overview(
        versions=[evil],
        phases={evil: 1},
        statuses={evil: 1.0},
        refusals={evil: 1.0},
        routes=[RouteRow(route=evil, rate=1)],
    )
    text = as_text(
        look(overview=now, problems={evil: evil}),
        title=evil,
        width=200,
        order=Order.RATE,
    )

    assert not {"\x1b", "\x9b", "\x07"} & set(text)
    assert text.count("?[2J?31m?[red]") == 8


def test_lost_replica_is_named_and_an_empty_one_has_no_table():
    """Who does not answer is told with the reason."""
    lost = look(answered=0, problems={"http://h/metrics": "connection refused"})
    shown = lines(lost, 100)

    assert any("http://h/metrics   connection refused" in line for line in shown)
    assert not any(line.startswith("route ") for line in shown)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (number_text(None), "-"),
        (number_text(0), "0.0"),
        (number_text(0.04), "0.04"),
        (number_text(99.94), "99.9"),
        (number_text(1234.5), "1,234"),
        (duration_text(0.00099), "1.0 ms"),
        (duration_text(0.0994), "99.4 ms"),
        (duration_text(0.0996), "100 ms"),
        (duration_text(0.9994), "999 ms"),
        (duration_text(0.9996), "1.00 s"),
        (percent_text(0.0001), "<0.1 %"),
        (percent_text(1), "100.0 %"),
        (bytes_text(0), "0 B"),
        (bytes_text(1023), "1023 B"),
        (bytes_text(1024), "1.0 KiB"),
        (bytes_text(5e15), "4547 TiB"),
        (uptime_text(59.9), "59 s"),
        (uptime_text(3661), "1 h 1 min"),
        (uptime_text(90_000), "1 d 1 h"),
        (sparkline([0, 0], 5), "▁▁"),
        (sparkline([9, 0, 7, 14], 3), "▁▅█"),
        (sparkline([0, 7, 14], 3, ascii_only=True), "_=#"),
        (sparkline([1], 0), ""),
    ],
)
def test_numbers_are_short(text, expected):
    """Three digits or so, and never 0 for what is not."""
    assert text == expected
