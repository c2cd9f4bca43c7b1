"""
Fallback: what to answer when the call fails.

    @Fallback(lambda error: [])
    async def recommendations(): ...

    with fallback.block() as held:
        held.value = recommended_plainly()
    show(held.value)

Only for what the user can do without: a fallback for what matters hides an outage.
"""

import contextlib
import inspect
from collections.abc import Awaitable, Callable, Iterator
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar, cast

from service.resilience.events import Event, Observe, ignore

__all__ = ["Fallback", "Held"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Held(Generic[T]):
    """
    What a block came to.

    Attributes:
        value: What the block has set, or the fallback's answer.
    """

    __slots__ = ("value",)

    value: T


def _any_error(_error: Exception) -> bool:
    return True


class Fallback(Generic[T]):
    """
    Answers in place of a call that failed.

    Args:
        answer: Makes the answer of the error; a plain function that neither blocks nor
            fails.
        name: What is replaced, for events.
        on: Which errors are replaced; the others come out.
        observe: Told of `used`.

    Concurrency:
        Any number of calls at once. A cancelled call has no fallback.
    """

    def __init__(
        self,
        answer: Callable[[Exception], T],
        *,
        name: str = "",
        on: Callable[[Exception], bool] = _any_error,
        observe: Observe = ignore,
    ) -> None:
        self._answer = answer
        self._name = name
        self._on = on
        self._observe = observe

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return *function*, a coroutine function or a plain one, with the fallback."""
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def replaced(*args: P.args, **kwargs: P.kwargs) -> Any:
                return await self.call(function, *args, **kwargs)

            return cast("Callable[P, R]", replaced)

        @wraps(function)
        def replaced_plain(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - `on` decides which
                return cast("R", self._instead(error))

        return replaced_plain

    async def call(
        self, function: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any
    ) -> T:
        """Return what *function* gives, or the fallback's answer."""
        try:
            return await function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - `on` decides which
            return self._instead(error)

    @contextlib.contextmanager
    def block(self) -> Iterator[Held[T]]:
        """Give what the block sets its value in; a failure of it sets the answer."""
        held: Held[T] = Held()
        try:
            yield held
        except Exception as error:  # noqa: BLE001 - `on` decides which
            held.value = self._instead(error)

    def _instead(self, error: Exception) -> T:
        if not self._on(error):
            raise error
        self._observe(Event("fallback", self._name, "used", {"error": repr(error)}))
        return self._answer(error)
