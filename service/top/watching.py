"""
Looking again and again, and showing it: live on a terminal, or as text for a pipe.

Looks, keys and new sizes of the terminal come as one stream, so that keys and sizes are
obeyed while a service takes its time.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.live import Live
from rich.text import Text

from service.concurrency.fan_in import fan_in
from service.top.fleet import Fleet, Look
from service.top.overview import Order, sorted_routes
from service.top.terminal import ended_by_sigterm, keyboard, keys, sizes
from service.top.view import render

__all__ = ["as_json", "as_text", "looks", "watch"]

KEPT = 120
"""Rates that are remembered for the line of bars."""

ORDERS = {"r": Order.RATE, "p": Order.P99, "e": Order.ERRORS}
HINT = "q quit   sort by: r rate   p p99   e errors"


def as_text(look: Look, *, title: str, width: int, order: Order) -> str:
    """Return *look* as lines of text without colours or trailing spaces."""
    console = Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(render(look, title=title, width=width, order=order))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def as_json(look: Look, *, order: Order) -> str:
    """Return *look* as one line of JSON; what is not known is null."""
    told = asdict(look.overview)
    told["routes"] = [asdict(row) for row in sorted_routes(look.overview.routes, order)]
    about = {
        "replicas": look.replicas,
        "answered": look.answered,
        "problems": look.problems,
    }
    return json.dumps(about | told, allow_nan=False)


async def looks(fleet: Fleet, interval: float) -> AsyncIterator[Look]:
    """
    Look every *interval*, without an end.

    Args:
        fleet: Who is watched.
        interval: Seconds between two looks; one that takes longer delays the next.

    Yields:
        Each look; the first has no rates.
    """
    due = time.monotonic()
    while True:
        yield await fleet.look()
        due = max(due + interval, time.monotonic())
        await asyncio.sleep(max(0.0, due - time.monotonic()))


@dataclass
class _Screen:
    """What the terminal shows, and how."""

    title: str
    order: Order
    console: Console
    look: Look | None = None

    def __post_init__(self) -> None:
        self.rates: deque[float] = deque(maxlen=KEPT)

    def take(self, look: Look) -> None:
        self.look = look
        if look.measured:
            self.rates.append(look.overview.rate)

    def press(self, keys: str) -> None:
        for key in keys:
            self.order = ORDERS.get(key, self.order)

    def draw(self, live: Live) -> None:
        if self.look is None:
            live.update(Text(f"{self.title}: asking"), refresh=True)
            return
        width, height = self.console.size
        drawn = render(
            self.look,
            title=self.title,
            width=width,
            height=height,
            order=self.order,
            history=self.rates,
            hint=HINT,
            ascii_only=not self.console.encoding.startswith("utf"),
        )
        live.update(drawn, refresh=True)


def watch(fleet: Fleet, *, title: str, interval: float, order: Order) -> Look | None:
    """
    Show *fleet* on the terminal until `q` is pressed.

    Args:
        fleet: Who is watched.
        title: Who that is.
        interval: Seconds between two looks.
        order: How the routes are sorted at first.

    Returns:
        The first look, if somebody answered it who has no metrics: there is nothing to
        watch then.
    """
    console = Console(highlight=False)
    screen = _Screen(title, order, console)
    with ended_by_sigterm(), keyboard(), _live(console) as live:
        screen.draw(live)
        return asyncio.run(_follow(screen, live, looks(fleet, interval)))


def _live(console: Console) -> Live:
    return Live(
        console=console, screen=True, auto_refresh=False, vertical_overflow="crop"
    )


async def _follow(
    screen: _Screen, live: Live, found: AsyncIterable[Look]
) -> Look | None:
    """Draw what changes until `q` is pressed, or the first look won't do."""
    async with fan_in(found, keys(), sizes()) as events:
        async for event in events:
            if isinstance(event, Look):
                if screen.look is None and event.wrong:
                    return event
                screen.take(event)
            elif isinstance(event, str):
                if "q" in event.lower():
                    return None
                screen.press(event.lower())
            screen.draw(live)
    return None
