"""Floods in the log itself: all ways that lines take, and the line that ends one."""

import asyncio
import contextlib
import logging
from collections import Counter

import pytest
import structlog
from prometheus_client import CollectorRegistry

from service.observability.access_log import AccessLog
from service.observability.log_metrics import LogMetrics
from service.observability.log_sampling import LogSampling
from service.observability.logging import get_logger, line_handler
from service.settings import SamplingSettings
from tests.support.clock import Clock
from tests.support.log import logged

REQUEST = {
    "method": "GET",
    "route": "/user/{name}",
    "path": "/user/ann",
    "status": 200,
    "duration": 0.012,
    "bytes": 17,
    "client": "10.1.2.3",
    "request_id": "abc",
}


class Sampled:
    """A log that is sampled, with its metric and its clock."""

    def __init__(self, **settings: object) -> None:
        self.registry = CollectorRegistry()
        self.clock = Clock()
        self.part = LogSampling(
            SamplingSettings.model_validate(settings),
            LogMetrics(self.registry),
            clock=self.clock,
        )

    def dropped(self, level: str = "info") -> float | None:
        """What the metric says."""
        name = "httpserver_log_lines_dropped_total"
        return self.registry.get_sample_value(name, {"level": level})

    @contextlib.asynccontextmanager
    async def running(self):
        """From start to stop."""
        await self.part.start()
        try:
            yield self
        finally:
            await self.part.stop()


def record(message: str, **attributes: object) -> logging.LogRecord:
    """A record as the standard library makes it."""
    made = {"msg": message, "name": "a", "levelname": "INFO", "levelno": logging.INFO}
    return logging.makeLogRecord(made | attributes)


def told(lines: list[dict]) -> int:
    """All lines that the log speaks of: those in it and those it says it left out."""
    written = sum(each["event"] != "lines_dropped" for each in lines)
    return written + sum(each.get("dropped", 0) for each in lines)


async def test_events_of_ours_are_sampled_by_logger_and_event(log):
    """The next line that is written says how many were left out before it."""
    async with Sampled(first=1, then_every=3).running() as sampled:
        for n in range(5):
            get_logger("httpserver.x").info("told", number=n)
        get_logger("httpserver.x").info("rare")
        sampled.part.look()
        assert sampled.dropped() == 3

    lines = log.lines
    assert [(each["event"], each.get("number")) for each in lines] == [
        ("told", 0), ("told", 3), ("rare", None), ("lines_dropped", None),
    ]  # fmt: skip
    assert lines[1]["dropped"] == 2
    assert list(lines[1])[-1] == "dropped"


async def test_records_of_libraries_are_sampled_by_their_sentence(log):
    """Not by the values in it, of which there may be as many as there are records."""
    async with Sampled(first=1, then_every=0).running():
        for name in ("uvicorn.error", "asyncio"):
            for n in range(4):
                logging.getLogger(name).info("%s connections", n)

    assert [each["event"] for each in log.lines] == [
        "0 connections", "0 connections", "lines_dropped", "lines_dropped",
    ]  # fmt: skip
    assert [each.get("of") for each in log.lines[2:]] == ["%s connections"] * 2
    assert [each["logger"] for each in log.lines[2:]] == ["uvicorn.error", "asyncio"]


async def test_access_lines_are_sampled_by_route_and_class_of_status():
    """A rare error is not lost in a flood of 200s, whatever the paths."""
    with logged() as log:
        async with Sampled(first=2, then_every=0).running():
            access = AccessLog()
            for n in range(50):
                access.write(**REQUEST | {"path": f"/user/{n}", "status": 200 + n % 2})
            access.write(**REQUEST | {"status": 500})
            access.write(**REQUEST | {"method": "DELETE"})
            access.write(**REQUEST | {"route": "/other"})
            await access.stop()

    lines = log.lines
    assert [each.get("status") for each in lines] == [200, 201, 500, 200, 200, None]
    assert list(lines[-1].items())[1:] == [
        ("level", "info"),
        ("logger", "httpserver.access"),
        ("event", "lines_dropped"),
        ("of", "request"),
        ("method", "GET"),
        ("route", "/user/{name}"),
        ("status_class", "2xx"),
        ("dropped", 48),
    ]


async def test_methods_of_an_attacker_are_one_key(log):
    """Ever new methods get no lines of their own."""
    async with Sampled(first=1, then_every=0).running():
        access = AccessLog()
        for n in range(9):
            access.write(**REQUEST | {"method": f"M{n}"})
        await access.stop()

    assert [each["method"] for each in log.lines] == ["M0", "other"]


@pytest.mark.parametrize("form", ["json", "console"])
async def test_access_line_tells_the_count_in_each_form(form):
    """The short way, which has no room for it, is left for that line."""
    with logged(format=form) as log:
        async with Sampled(first=1, then_every=2).running():
            access = AccessLog()
            for _ in range(5):
                access.write(**REQUEST)
            await access.stop()

    counts = ['"dropped":1}', '"dropped":1}'] if form == "json" else [" dropped=1"] * 2
    lines = log.text.splitlines()
    assert len(lines) == 3
    assert [
        line[-len(end) :] for line, end in zip(lines[1:], counts, strict=True)
    ] == counts


async def test_nothing_is_lost_whatever_is_asked(log):
    """Lines in the log, counts in the log, and the metric agree."""
    async with Sampled(first=3, then_every=4).running() as sampled:
        access = AccessLog()
        for second in range(4):
            for n in range(40):
                get_logger("a").info("told")
                get_logger("a").debug("unheard")
                logging.getLogger("b").info("said %s", n)
                access.write(**REQUEST | {"status": 200 + 100 * (n % 4)})
            access._flush()
            sampled.clock.now += 0.7 * second
            sampled.part.look()

    assert told(log.lines) == 4 * 3 * 40
    counts = Counter(
        each["level"] for each in log.lines for _ in range(each.get("dropped", 0))
    )
    assert counts == {"info": sampled.dropped()}


async def test_stop_tells_what_goes_on_and_samples_no_more(log):
    """A process that ends in a flood has told all; what comes after is written."""
    async with Sampled(first=1, then_every=0).running():
        for _ in range(3):
            get_logger("a").info("told")
    for _ in range(3):
        get_logger("a").info("told")

    assert [each["event"] for each in log.lines] == [
        "told",
        "lines_dropped",
        *["told"] * 3,
    ]
    assert line_handler().sampler is None


async def test_it_is_off_by_default_and_switched_live(log):
    """Nothing stands at the log's end until it is wanted."""
    async with Sampled().running() as sampled:
        assert line_handler().sampler is None
        sampled.part.adapt(SamplingSettings(first=1, then_every=0))
        for _ in range(3):
            get_logger("a").info("told")
        sampled.part.adapt(SamplingSettings())
        for _ in range(3):
            get_logger("a").info("told")
        sampled.clock.now += 2.0
        sampled.part.look()

        assert [each["event"] for each in log.lines] == [*["told"] * 4, "lines_dropped"]


async def test_flood_is_told_by_itself_in_the_end(log):
    """The part looks once a second, on the running loop."""
    async with Sampled(first=1, then_every=0).running() as sampled:
        for _ in range(3):
            get_logger("a").info("told")
        sampled.clock.now += 5.0
        async with asyncio.timeout(60):
            while not sampled.dropped():
                await asyncio.sleep(0.01)

        assert sampled.dropped() == 2
        assert log.lines[-1]["event"] == "lines_dropped"


async def test_line_that_ends_a_flood_has_what_is_bound(log):
    """A worker's number is on it; what a request binds is not."""
    with structlog.contextvars.bound_contextvars(worker=3):
        sampled = Sampled(first=1, then_every=0)
    async with sampled.running():
        with structlog.contextvars.bound_contextvars(request_id="r"):
            for _ in range(3):
                get_logger("a").info("told")
            sampled.part.look(all_of_them=True)

    assert log.lines[-1]["worker"] == 3
    assert "request_id" not in log.lines[-1]


async def test_count_is_told_even_by_a_line_that_fails_or_is_too_long(log):
    """Neither a failing record nor thousands of fields lose it."""
    async with Sampled(first=1, then_every=2).running():
        emit = line_handler().emit
        wide = {f"f{n}": n for n in range(9999)}
        for _ in range(3):
            emit(record("no %d", args=("number",)))
            emit(record("told", **wide))

    events = [(each["event"], each.get("dropped")) for each in log.lines]
    assert events == [
        ("log_failed", None), ("told", None), ("log_failed", 1), ("told", 1),
    ]  # fmt: skip


async def test_more_keys_than_there_is_room_for_are_told_together(log):
    """Their line names no event of one of them."""
    async with Sampled(first=1, then_every=0).running():
        for n in range(1030):
            line_handler().emit(record(f"event {n}"))

    last = log.lines[-1]
    assert (last["logger"], last["of"], last["dropped"]) == (
        "httpserver.log",
        "others",
        5,
    )
