"""The order of start and stop, with fakes for what is started and stopped."""

import asyncio
import threading
from dataclasses import dataclass

import pytest

from service.errors import StartError
from service.server.lifecycle import Lifecycle, Phase


@dataclass
class Timing:
    drain_delay: float = 0.0
    grace_period: float = 0.0
    hard_limit: float = 30.0


class FakeServer:
    """A main server that notes what happens to it."""

    name = "fake"
    endpoints = ()
    in_flight = 0

    def __init__(self, events, *, cut=0):
        self._events = events
        self._cut = cut

    def bind(self):
        self._events.append("bind")

    async def start(self):
        self._events.append("listen")

    def begin_drain(self):
        self._events.append("drain")

    async def stop(self, *, grace):
        self._events.append(f"close {grace:g}")
        return self._cut


class FakePart:
    """A part that notes its start and stop, and may fail at either."""

    def __init__(self, name, events, *, fail=None):
        self.name = name
        self._events = events
        self._fail = fail

    async def start(self):
        self._events.append(f"start {self.name}")
        if self._fail == "start":
            raise OSError("no disk")

    async def stop(self):
        self._events.append(f"stop {self.name}")
        if self._fail == "stop":
            raise OSError("no disk")


class FakeServingPart(FakePart):
    """A part that listens."""

    def begin_drain(self):
        self._events.append(f"drain {self.name}")

    async def finish(self, *, grace):
        self._events.append(f"finish {self.name} {grace:g}")
        if self._fail == "finish":
            raise OSError("no disk")
        return self._fail == "cut"


async def run(parts, events, *, server=None, **timing) -> tuple[int, Lifecycle]:
    """Run a lifecycle on a thread of its own, so that no signals are taken."""

    def on_phase(phase: Phase) -> None:
        events.append(phase.value)
        if phase is Phase.READY:
            lifecycle.request_stop()

    lifecycle = Lifecycle(
        parts=parts,
        main=server or FakeServer(events),
        admin=None,
        timing=Timing(**timing),
        on_phase=on_phase,
    )
    result = []
    thread = threading.Thread(
        target=lambda: result.append(asyncio.run(lifecycle.run()))
    )
    thread.start()
    await asyncio.to_thread(thread.join)
    return result[0], lifecycle


async def test_parts_start_in_order_and_stop_in_reverse():
    """Last started is first stopped, and the listener is between."""
    events = []
    parts = [FakePart("a", events), FakePart("b", events)]
    code, lifecycle = await run(parts, events, grace_period=3)

    assert code == 0
    assert lifecycle.phase is Phase.STOPPED
    assert events == [
        "starting", "bind", "start a", "start b", "listen", "ready",
        "drain", "draining", "stopping", "close 3", "stop b", "stop a", "stopped",
    ]  # fmt: skip


@pytest.mark.parametrize(("fail", "expected"), [(None, 0), ("cut", 1), ("finish", 0)])
async def test_part_that_listens_is_drained_with_the_main_server(fail, expected):
    """Told at the signal, finished within the grace, then stopped; its cuts count."""
    events = []
    parts = [FakeServingPart("a", events, fail=fail), FakePart("b", events)]
    code, _ = await run(parts, events, grace_period=3)

    assert code == expected
    assert events[events.index("ready") + 1 :] == [
        "drain", "drain a", "draining", "stopping", "close 3", "finish a 3",
        "stop b", "stop a", "stopped",
    ]  # fmt: skip


async def test_stop_from_before_the_signals_are_taken_leaves_nothing_open():
    """A SIGINT while the service is put together cancels the task that runs it."""
    events = []
    part = FakePart("a", events)
    lifecycle = Lifecycle(
        parts=[part],
        main=FakeServer(events),
        admin=None,
        timing=Timing(),
        on_phase=lambda phase: events.append(phase.value),
    )

    async def interrupted() -> int:
        asyncio.current_task().cancel()
        return await lifecycle.run()

    code = await asyncio.to_thread(asyncio.run, interrupted())

    assert code == 0
    assert "ready" not in events
    assert events.count("start a") == events.count("stop a")
    assert events[-1] == "stopped"


async def test_part_that_can_not_start_stops_those_before_it():
    """A failed start leaves nothing behind, never listens, and exits 1."""
    events = []
    parts = [
        FakePart("a", events),
        FakePart("b", events, fail="start"),
        FakePart("c", events),
    ]
    code, _ = await run(parts, events)

    assert code == 1
    assert "listen" not in events
    assert "ready" not in events
    assert [event for event in events if event.startswith("st") and " " in event] == [
        "start a",
        "start b",
        "stop a",
    ]


async def test_part_that_can_not_stop_does_not_hold_the_others():
    """Each part gets its stop."""
    events = []
    parts = [FakePart("a", events), FakePart("b", events, fail="stop")]
    code, _ = await run(parts, events)

    assert code == 0
    assert events[-3:] == ["stop b", "stop a", "stopped"]


async def test_cut_requests_make_the_exit_code_1():
    """Whoever looks at the exit code learns that something was lost."""
    events = []
    code, _ = await run([], events, server=FakeServer(events, cut=2))

    assert code == 1


async def test_port_that_can_not_be_had_fails_before_any_part_starts():
    """A port in use is found before the parts do any work."""

    class Taken(FakeServer):
        def bind(self):
            raise StartError("fake: can't listen on :1: Address already in use")

    events = []
    code, _ = await run([FakePart("a", events)], events, server=Taken(events))

    assert code == 1
    assert "start a" not in events


async def test_listener_that_fails_stops_what_was_started():
    """Whatever goes wrong at the start, nothing is left behind."""

    class Broken(FakeServer):
        async def start(self):
            raise OSError("Address already in use")

    events = []
    code, _ = await run([FakePart("a", events)], events, server=Broken(events))

    assert code == 1
    assert events[-2:] == ["stop a", "stopped"]


@pytest.mark.parametrize("delay", [0.0, 0.05])
async def test_drain_delay_is_waited_before_the_listener_closes(delay):
    """The drain delay lies between the drain and the close."""
    times = {}
    events = []

    class Timed(FakeServer):
        def begin_drain(self):
            times["drain"] = asyncio.get_running_loop().time()

        async def stop(self, *, grace):
            times["close"] = asyncio.get_running_loop().time()
            return 0

    await run([], events, server=Timed(events), drain_delay=delay)

    assert times["close"] - times["drain"] >= delay
