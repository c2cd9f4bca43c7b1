"""
The overview as lines and a table, for a terminal of any width, or for a pipe.

What does not fit is left out by its importance: columns from the right, then routes
from the bottom. All text of the service goes through `plain`, so that a label can't
steer the terminal.
"""

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.top.fleet import Look
from service.top.overview import Order, Overview, RouteRow, sorted_routes
from service.top.words import (
    bytes_text,
    duration_text,
    number_text,
    percent_text,
    plain,
    sparkline,
    uptime_text,
)

__all__ = ["render"]

GAP = "   "
"""Between two figures of a line."""

FIXED = "\u00a0"
"""A space at which no line is broken: a figure stays with its name."""

COLUMNS = (
    ("req/s", 9, 0),
    ("p50", 9, 60),
    ("p90", 9, 70),
    ("p99", 9, 40),
    ("errors", 8, 30),
    ("bytes/s", 11, 80),
)
"""Heading, width, and columns that the terminal must have for it to be shown."""

SPARK = 30
"""Bars of the rate at most."""


def render(
    look: Look,
    *,
    title: str,
    width: int,
    order: Order = Order.RATE,
    height: int | None = None,
    history: Sequence[float] = (),
    hint: str = "",
    ascii_only: bool = False,
) -> RenderableType:
    """
    Return what is shown of *look*.

    Args:
        look: What was found.
        title: Who is watched.
        width: Columns of the terminal.
        order: How the routes are sorted.
        height: Lines of the terminal; without it all routes are shown.
        history: Rates so far, oldest first; none for no line of bars.
        hint: Last line.
        ascii_only: Whether the terminal shows nothing else.
    """
    bars = sparkline(list(history), min(SPARK, width // 3), ascii_only=ascii_only)
    above: list[RenderableType] = [*_lines(look, title, bars), Text()]
    below = [Text(hint, style="dim")] if hint else []
    rows = sorted_routes(look.overview.routes, order)
    left = None
    if height is not None:
        left = max(0, height - _height([*above, *below], width) - 1)
    shown = rows if left is None or len(rows) <= left else rows[: max(0, left - 1)]
    parts = [*above, _table(shown, order, width)] if rows else above
    if len(shown) < len(rows):
        parts.append(Text(f"and {len(rows) - len(shown)} more routes", style="dim"))
    return Group(*parts, *below)


def _height(parts: Sequence[RenderableType], width: int) -> int:
    console = Console(width=width, color_system=None)
    return sum(len(console.render_lines(each, pad=False)) for each in parts)


# -- the lines above the table -----------------------------------------------


def _lines(look: Look, title: str, bars: str) -> list[Text]:
    now = look.overview
    lines = [_head(look, title)]
    lines += [
        _line("lost", [(url, why)], "bold red") for url, why in look.problems.items()
    ]
    if not look.answered:
        return lines
    return [*lines, *_requests(now, bars), _protection(now), _process(now)]


def _head(look: Look, title: str) -> Text:
    now = look.overview
    line = Text(plain(title), style="bold", overflow="fold")
    if look.replicas > 1:
        line.append(f"{GAP}{look.answered} of {look.replicas} replicas")
    if not look.answered:
        return line
    if now.versions:
        line.append(GAP + _joined("version", ", ".join(map(plain, now.versions))))
    for phase, count in now.phases.items():
        style = "green" if phase == "ready" else "yellow"
        text = plain(phase) if look.replicas == 1 else _joined(plain(phase), str(count))
        line.append(GAP).append(text, style)
    return line.append(GAP + _joined("up", uptime_text(now.uptime)))


def _requests(now: Overview, bars: str) -> list[Text]:
    limit = number_of(now.in_flight_limit)
    in_flight = number_of(now.in_flight) + (
        f" of {limit}" if now.in_flight_limit else ""
    )
    first = _line(
        "requests",
        [("", f"{number_text(now.rate)}/s"), ("in flight", in_flight)],
    )
    if bars:
        first.append(GAP + bars, "cyan")
    first.append(GAP)
    style = "bold red" if now.errors else ""
    first.append(_joined("errors", percent_text(now.errors)), style)
    rates = [
        (status, f"{number_text(rate)}/s")
        for status, rate in now.statuses.items()
        if rate
    ]
    return [first, _line("statuses", rates or [("", "none")])]


def _protection(now: Overview) -> Text:
    refused = [
        (reason, f"{number_text(rate)}/s")
        for reason, rate in now.refusals.items()
        if rate
    ]
    style = "yellow" if refused or now.throttled else ""
    return _line(
        "refused",
        [
            *(refused or [("overload", "0.0/s")]),
            ("throttled", f"{number_text(now.throttled)}/s"),
        ],
        style,
    )


def _process(now: Overview) -> Text:
    figures = [
        ("CPU", percent_text(now.cpu)),
        ("memory", bytes_text(now.resident_bytes)),
        ("loop lag p99", duration_text(now.loop_lag_p99)),
        ("connections", number_of(now.connections)),
        ("open files", number_of(now.open_files)),
    ]
    return _line("process", figures)


def number_of(value: float | None) -> str:
    """Return a whole number."""
    return "-" if value is None else f"{value:,.0f}"


def _line(name: str, figures: Sequence[tuple[str, str]], style: str = "") -> Text:
    """Return a name, and figures that stay with their names when the line breaks."""
    line = Text(f"{name:9} ", style="dim")
    for at, (what, value) in enumerate(figures):
        line.append(GAP if at else "").append(
            _joined(plain(what), plain(value)), f"not dim {style}"
        )
    return line


def _joined(name: str, value: str) -> str:
    return f"{name} {value}".strip().replace(" ", FIXED)


# -- the table ---------------------------------------------------------------


def _table(rows: Sequence[RouteRow], order: Order, width: int) -> Table:
    chosen = [at for at, (_, _, wanted) in enumerate(COLUMNS) if width >= wanted]
    table = Table(box=None, padding=0, expand=True, header_style="bold", pad_edge=False)
    table.add_column("route", ratio=1, no_wrap=True, overflow="ellipsis")
    for at in chosen:
        heading, wide, _ = COLUMNS[at]
        sorts = {Order.RATE: "req/s", Order.P99: "p99", Order.ERRORS: "errors"}[order]
        style = "bold underline" if heading == sorts else "bold"
        table.add_column(
            Text(heading, style), justify="right", width=wide, no_wrap=True
        )
    for row in rows:
        cells = _cells(row)
        table.add_row(Text(plain(row.route)), *(cells[at] for at in chosen))
    return table


def _cells(row: RouteRow) -> list[Text]:
    return [
        Text(number_text(row.rate)),
        *(Text(duration_text(each)) for each in (row.p50, row.p90, row.p99)),
        Text(percent_text(row.errors), "bold red" if row.errors else ""),
        Text(bytes_text(row.bytes_rate)),
    ]
