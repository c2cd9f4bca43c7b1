"""
Filters that await nothing, as a rule: what is done before and after the rest.

A filter that is a coroutine around the next costs a small request a microsecond each.
Those that only look, note or count need none: neighbours in the chain run as one.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from service.server.context import RequestContext
from service.server.responses import Response
from service.server.routes import Handler

__all__ = ["Around", "joined"]

Enter = Callable[[RequestContext], Awaitable[object] | None]
Leave = Callable[[RequestContext], object]


@dataclass(frozen=True, slots=True)
class Around:
    """
    A filter in two halves.

    Attributes:
        enter: Called with each request; what it raises is the end of the request. One
            that has to wait now and then returns what to await then.
        leave: Called when the rest of the chain is through, whatever it came to, and
            only if `enter` has not raised.
    """

    enter: Enter | None = None
    leave: Leave | None = None


def joined(arounds: Sequence[Around], following: Handler) -> Handler:
    """
    Return a handler that runs *arounds* around *following*.

    Args:
        arounds: Innermost first.
        following: The rest of the chain.
    """
    if not any(each.leave for each in arounds):
        return _entered(arounds, following)
    enters = [each.enter for each in reversed(arounds) if each.enter]
    leaves = [_left(arounds, entered) for entered in range(len(enters) + 1)]

    async def run(ctx: RequestContext) -> Response:
        entered = 0
        try:
            for enter in enters:
                waiting = enter(ctx)
                if waiting is not None:
                    await waiting
                entered += 1
            return await following(ctx)
        finally:
            for leave in leaves[entered]:
                leave(ctx)

    return run


def _entered(arounds: Sequence[Around], following: Handler) -> Handler:
    """Return a handler that only enters *arounds*: no coroutine is needed for that."""
    enters = [each.enter for each in reversed(arounds) if each.enter]

    def run(ctx: RequestContext) -> Awaitable[Response]:
        todo = iter(enters)
        for enter in todo:
            waiting = enter(ctx)
            if waiting is not None:
                return _later(waiting, todo, following, ctx)
        return following(ctx)

    return run


async def _later(
    waiting: Awaitable[object],
    todo: Iterator[Enter],
    following: Handler,
    ctx: RequestContext,
) -> Response:
    """Go on with the filters that are left, once what one waits for is there."""
    await waiting
    for enter in todo:
        further = enter(ctx)
        if further is not None:
            await further
    return await following(ctx)


def _left(arounds: Sequence[Around], entered: int) -> list[Leave]:
    """Return what is left when so many have entered, innermost first."""
    leaves: list[Leave] = []
    for each in reversed(arounds):
        entered -= each.enter is not None
        if entered < 0:
            break
        if each.leave is not None:
            leaves.insert(0, each.leave)
    return leaves
