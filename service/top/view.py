"""
The overview as lines and a table, for a terminal of any width, or for a pipe.

What does not fit is left out by its importance: columns, routes from the bottom, the
last lines above them. All text of the service goes through `plain`, so that a label
can't steer the terminal.
"""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.top.fleet import Look
from service.top.overview import Order, Overview, RouteRow, sorted_routes
from service.top.words import (
    bytes_text,
    count_text,
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

NAME = 10
"""Columns of the name of a line; figures that do not fit go below, indented as far."""

Figure = tuple[str, str]
"""A text that is kept together, and its style."""

Line = tuple[str, Sequence[Figure]]
"""What the figures tell of, and they."""

KEPT_LINES = 2
"""Who is watched and the requests are shown on the smallest terminal."""

TABLE_LINES = 6
"""Lines that the table should have at least: an empty one, heading, two routes, how
many more there are, and the keys."""

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
    above = _above(_lines(look, title, bars), width, height)
    below = [Text(hint, "dim", no_wrap=True, overflow="ellipsis")] if hint else []
    if not look.answered:
        return Group(*above, Text(), *below)
    rows = sorted_routes(look.overview.routes, order)
    room = len(rows)
    if height is not None:
        room = max(0, height - len(above) - len(below) - 2)
    shown = rows if len(rows) <= room else rows[: max(0, room - 1)]
    more: list[RenderableType] = []
    if len(shown) < len(rows):
        more.append(Text(f"and {len(rows) - len(shown)} more routes", "dim"))
    return Group(*above, Text(), _table(shown, order, width), *more, *below)


# -- the lines above the table -----------------------------------------------


def _above(lines: list[Line], width: int, height: int | None) -> list[Text]:
    """Return *lines*, without the last ones where the table would have no room."""
    fitted = [_fit(each, width) for each in lines]
    while height is not None and len(fitted) > KEPT_LINES:
        if sum(map(len, fitted)) + TABLE_LINES <= height:
            break
        fitted.pop()
    return [text for line in fitted for text in line]


def _fit(line: Line, width: int) -> list[Text]:
    """Return a name and its figures in as many lines as the width makes them."""
    name, figures = line
    lines = [Text(name.ljust(NAME) if name else "", "dim")]
    for text, style in figures:
        last = lines[-1]
        gap = GAP if len(last) > (NAME if name else 0) else ""
        if gap and len(last) + len(gap) + len(text) > width:
            lines.append(Text(" " * (NAME if name else 0)))
            gap = ""
        lines[-1].append(gap).append(text, f"not dim {style}")
    for each in lines:
        each.no_wrap, each.overflow = True, "ellipsis"
    return lines


def _lines(look: Look, title: str, bars: str) -> list[Line]:
    now = look.overview
    lines: list[Line] = [("", _head(look, title))]
    for url, why in look.problems.items():
        lines.append(("lost", [(plain(url), "red"), (plain(why), "bold red")]))
    if look.answered:
        lines += [
            ("requests", _requests(now, bars)),
            ("statuses", _statuses(now)),
            ("refused", _refused(now)),
            ("process", _process(now)),
        ]
    return lines


def _head(look: Look, title: str) -> list[Figure]:
    now = look.overview
    figures = [(plain(title), "bold")]
    if look.replicas > 1:
        figures.append((f"{look.answered} of {look.replicas} replicas", ""))
    if not look.answered:
        return figures
    if now.versions:
        figures.append((f"version {', '.join(map(plain, now.versions))}", ""))
    for phase, count in now.phases.items():
        style = "green" if phase == "ready" else "yellow"
        many = f" {count}" if look.replicas > 1 else ""
        figures.append((plain(phase) + many, style))
    return [*figures, (f"up {uptime_text(now.uptime)}", "")]


def _requests(now: Overview, bars: str) -> list[Figure]:
    limit = f" of {count_text(now.in_flight_limit)}" if now.in_flight_limit else ""
    return [
        (f"{number_text(now.rate)}/s", "bold"),
        *([(bars, "cyan")] if bars else []),
        (f"errors {percent_text(now.errors)}", "bold red" if now.errors else ""),
        (f"in flight {count_text(now.in_flight)}{limit}", ""),
    ]


def _statuses(now: Overview) -> list[Figure]:
    rates = {status: rate for status, rate in now.statuses.items() if rate}
    return [
        (f"{plain(status)} {number_text(rate)}/s", "red" if status >= "5" else "")
        for status, rate in rates.items()
    ] or [("none", "")]


def _refused(now: Overview) -> list[Figure]:
    rates = {reason: rate for reason, rate in now.refusals.items() if rate}
    shed = [
        (f"{plain(why)} {number_text(each)}/s", "yellow") for why, each in rates.items()
    ]
    throttled = f"throttled {number_text(now.throttled)}/s"
    return [
        *(shed or [("overload 0.0/s", "")]),
        (throttled, "yellow" if now.throttled else ""),
    ]


def _process(now: Overview) -> list[Figure]:
    return [
        (f"CPU {percent_text(now.cpu)}", ""),
        (f"memory {bytes_text(now.resident_bytes)}", ""),
        (f"loop lag p99 {duration_text(now.loop_lag_p99)}", ""),
        (f"connections {count_text(now.connections)}", ""),
        (f"open files {count_text(now.open_files)}", ""),
    ]


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
