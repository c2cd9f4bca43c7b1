"""
Future: a value that comes once, for any number of waiters.

Unlike `asyncio.Future` it belongs to no event loop: any thread may set it, and threads
and tasks of several loops may wait for it. A waiter that gives up takes nothing from
the others.

Source: the pattern of this name in Titmus, "Cloud Native Go", chapter 4.
"""

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import Generic, TypeVar

__all__ = ["AlreadySet", "Future"]

T = TypeVar("T")


class AlreadySet(Exception):
    """The value came before."""


class Future(Generic[T]):
    """
    A value, or an error, that is set once.

    `await future` waits in a task, `future.result()` in a thread.

    Concurrency:
        Any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._value: T | None = None
        self._error: BaseException | None = None
        self._trace: TracebackType | None = None
        self._wakers: list[Callable[[], object]] = []

    @classmethod
    def of(cls, work: Awaitable[T], *, tasks: asyncio.TaskGroup) -> "Future[T]":
        """Return the future of *work*, which runs as one of *tasks*."""
        future = cls()

        async def run() -> T:
            return await work

        def settle(task: asyncio.Task[T]) -> None:
            if task.cancelled():
                future.set_error(asyncio.CancelledError())
            elif (error := task.exception()) is not None:
                future.set_error(error)
            else:
                future.set_result(task.result())

        # a callback, since a task that is cancelled at once never begins
        task = tasks.create_task(work if inspect.iscoroutine(work) else run())
        task.add_done_callback(settle)
        return future

    @classmethod
    def in_thread(cls, work: Callable[[], T], *, name: str) -> "Future[T]":
        """
        Return the future of *work*, which begins in a thread of its own.

        Nobody has to wait for it: neither an event loop, which waits for the threads
        that it lends, nor the process, which ends in spite of it.

        Args:
            work: May block; what it raises is the error.
            name: Of the thread.
        """
        future = cls()

        def run() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it belongs to the waiters
                future.set_error(error)

        threading.Thread(target=run, name=name, daemon=True).start()
        return future

    @property
    def done(self) -> bool:
        """Whether the value, or the error, is there."""
        return self._done.is_set()

    def set_result(self, value: T) -> None:
        """
        Set the value.

        Raises:
            AlreadySet: Somebody was faster.
        """
        self._set(value, None)

    def set_error(self, error: BaseException) -> None:
        """
        Set the error that every waiter gets.

        Raises:
            AlreadySet: Somebody was faster.
        """
        self._set(None, error)

    def result(self, timeout: float | None = None) -> T:
        """
        Return the value, or raise the error; block until it is there.

        Args:
            timeout: Most seconds to wait; None is as long as it takes.

        Raises:
            TimeoutError: It did not come in time.
        """
        if not self._done.wait(timeout):
            raise TimeoutError
        return self._outcome()

    def __await__(self) -> Generator[object, None, T]:
        return self._wait().__await__()

    async def _wait(self) -> T:
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(woken.set)

        with self._lock:
            if not self._done.is_set():
                self._wakers.append(wake)
        if not self._done.is_set():
            try:
                await woken.wait()
            finally:
                self._forget(wake)
        return self._outcome()

    def _set(self, value: T | None, error: BaseException | None) -> None:
        with self._lock:
            if self._done.is_set():
                raise AlreadySet
            self._value, self._error = value, error
            self._trace = error.__traceback__ if error is not None else None
            self._done.set()
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    def _forget(self, wake: Callable[[], object]) -> None:
        with self._lock:
            if wake in self._wakers:
                self._wakers.remove(wake)

    def _outcome(self) -> T:
        if self._error is not None:
            # as it was set: else it would keep the frames of every waiter
            raise self._error.with_traceback(self._trace)
        return self._value  # type: ignore[return-value]  # None only where T has it
