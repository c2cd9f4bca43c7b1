"""Filters in halves run in order, and leave as many as were entered."""

import asyncio

import pytest

from service.server.around import Around, joined


class Trace:
    """Keeps what was called."""

    def __init__(self, raises: str = "") -> None:
        self.raises = raises
        self.calls: list[str] = []

    def step(self, name: str):
        def call(_ctx) -> None:
            self.calls.append(name)
            if name == self.raises:
                raise ValueError(name)

        return call

    def around(self, name: str, *, leaves: bool = True) -> Around:
        leave = self.step(f"leave {name}") if leaves else None
        return Around(self.step(f"enter {name}"), leave)

    async def handler(self, ctx):
        self.step("handler")(ctx)
        return "answer"


def chain(trace: Trace, *, leaves: bool = True):
    arounds = [
        trace.around(name, leaves=leaves) for name in ("inner", "middle", "outer")
    ]
    return joined(arounds, trace.handler)


ENTERS = ["enter outer", "enter middle", "enter inner"]
LEAVES = ["leave inner", "leave middle", "leave outer"]


async def test_outermost_enters_first_and_leaves_last():
    """As coroutines around each other would."""
    trace = Trace()

    assert await chain(trace)(None) == "answer"
    assert trace.calls == [*ENTERS, "handler", *LEAVES]


async def test_handler_that_raises_is_left_all_the_same():
    """What it raises goes on."""
    trace = Trace("handler")

    with pytest.raises(ValueError, match="handler"):
        await chain(trace)(None)
    assert trace.calls == [*ENTERS, "handler", *LEAVES]


@pytest.mark.parametrize("entered", [0, 1, 2])
async def test_enter_that_raises_leaves_only_those_entered(entered):
    """Neither it nor those within it were entered."""
    trace = Trace(ENTERS[entered])

    with pytest.raises(ValueError, match="enter"):
        await chain(trace)(None)
    assert trace.calls == ENTERS[: entered + 1] + LEAVES[len(LEAVES) - entered :]


async def test_filters_without_leaves_only_enter():
    """The handler's own awaitable is returned: no coroutine stands between."""
    trace = Trace()

    assert await chain(trace, leaves=False)(None) == "answer"
    assert trace.calls == [*ENTERS, "handler"]


def test_enter_without_leaves_that_raises_ends_the_request():
    """The handler is not called."""
    trace = Trace("enter middle")

    with pytest.raises(ValueError, match="middle"):
        chain(trace, leaves=False)(None)
    assert trace.calls == ENTERS[:2]


async def test_half_filters_may_be_mixed():
    """One only leaves, the next only enters, the last does nothing."""
    trace = Trace()
    arounds = [Around(leave=trace.step("leave")), Around(trace.step("enter")), Around()]

    assert await joined(arounds, trace.handler)(None) == "answer"
    assert trace.calls == ["enter", "handler", "leave"]


async def test_no_filters_are_the_handler():
    """Nothing to do around it."""
    assert await joined([], Trace().handler)(None) == "answer"


@pytest.mark.parametrize("leaves", [True, False], ids=["left", "only entered"])
async def test_filters_within_one_that_waits_enter_after_it(leaves):
    """As they would within a coroutine that awaits; so do two that wait."""
    trace = Trace()

    def waiting(name):
        async def wait():
            await asyncio.sleep(0)
            trace.step(f"waited {name}")(None)

        return Around(lambda _ctx: wait())

    arounds = [trace.around("inner", leaves=leaves), waiting("two"), waiting("one")]

    assert await joined(arounds, trace.handler)(None) == "answer"
    left = ["leave inner"] if leaves else []
    assert trace.calls == ["waited one", "waited two", "enter inner", "handler", *left]
