"""
Circuit breaker: calls of what keeps failing are refused at once, until it is well.

    closed     calls pass and are counted over a sliding window; when at least
               `minimum_calls` have been made and the share of failures reaches
               `failure_rate`, it opens
    open       calls are refused for `open_for` seconds; each time that a probe fails
               for twice as long as the last time, up to `open_for_most`
    half-open  `probes` calls pass, the others are refused; all of them succeed: closed;
               one fails: open

A call that takes longer than `slow_after` is a failure, whatever it returns: a peer
that hangs takes more from its callers than one that refuses. A call that was cancelled,
or refused by a bulkhead, says nothing about the peer and counts neither way. What was
let in before the state changed no longer counts.

Source: Nygard, "Release It!", 2007; half-open probes and the sliding window as in
resilience4j.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from types import TracebackType
from typing import Self

from typing_extensions import override

from service.resilience.bulkhead import BulkheadFull
from service.resilience.events import Event, Observe, ignore
from service.resilience.failure_window import FailureWindow
from service.resilience.guarding import Guard

__all__ = ["BreakerLimits", "CircuitBreaker", "CircuitOpen", "GuardedCall", "State"]


class State(StrEnum):
    """What the breaker does with calls."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitOpen(Exception):
    """
    The call was not made.

    Attributes:
        retry_after: Seconds until a call may be let in; 0 while probes are under way.
    """

    def __init__(self, name: str, retry_after: float) -> None:
        super().__init__(f"circuit {name} is open")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerLimits:
    """
    When the breaker opens and closes.

    Attributes:
        failure_rate: Share of failures that opens it, above 0 and at most 1.
        minimum_calls: Calls in the window below which it never opens, >= 1.
        window: Seconds over which calls are counted, > 0.
        slow_after: Seconds after which a call is a failure, > 0.
        open_for: Seconds that it stays open at first, > 0.
        open_for_most: Longest that it stays open.
        probes: Calls that it lets in when half-open, >= 1.
    """

    failure_rate: float = 0.5
    minimum_calls: int = 10
    window: float = 10.0
    slow_after: float = math.inf
    open_for: float = 5.0
    open_for_most: float = 60.0
    probes: int = 3

    def __post_init__(self) -> None:
        if not 0 < self.failure_rate <= 1 or self.minimum_calls < 1 or self.probes < 1:
            raise ValueError("failure_rate, minimum_calls or probes is out of range")
        if min(self.window, self.slow_after, self.open_for) <= 0:
            raise ValueError("window, slow_after and open_for must be above 0")


def _any_error(error: BaseException) -> bool:
    return isinstance(error, Exception)


def _none(_error: BaseException) -> bool:
    return False


class CircuitBreaker(Guard):
    """
    Lets calls pass, or refuses them.

    Args:
        name: Whom the calls go to, for errors and events.
        limits: When it opens and closes.
        is_failure: Whether an error of a call speaks against the peer; every
            `Exception` does without. Others count as successes.
        is_neutral: Whether an error says nothing about the peer, such as one of a call
            that was never made; `BulkheadFull` does in any case.
        observe: Told of `opened`, `half_open` and `closed`.
        clock: Gives the time in seconds; it must not go backwards.

    Raises:
        CircuitOpen: By `guarded`, `call` and decorated functions, in place of a call.

    Concurrency:
        Any thread.
    """

    def __init__(
        self,
        name: str = "",
        *,
        limits: BreakerLimits | None = None,
        is_failure: Callable[[BaseException], bool] = _any_error,
        is_neutral: Callable[[BaseException], bool] = _none,
        observe: Observe = ignore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.limits = limits or BreakerLimits()
        self._is_failure = is_failure
        self._is_neutral = is_neutral
        self._observe = observe
        self.clock = clock
        self._lock = Lock()
        self._window = FailureWindow(self.limits.window)
        # one attribute, so that a look at it needs no lock
        self._phase = (State.CLOSED, 0)
        self._open_until = 0.0
        self._open_for = self.limits.open_for
        self._admitted = self._succeeded = 0

    @property
    def state(self) -> State:
        """What it would do now."""
        with self._lock:
            state = self._phase[0]
            if state is State.OPEN and self.clock() >= self._open_until:
                return State.HALF_OPEN
            return state

    @override
    def guarded(self) -> "GuardedCall":
        """Return the block around one call; entering it may raise CircuitOpen."""
        return GuardedCall(self)

    def admit(self) -> int:
        """
        Let a call in, and return the period that it belongs to; `end` must follow.

        Raises:
            CircuitOpen: The call must not be made.
        """
        state, period = self._phase
        return period if state is State.CLOSED else self._admit_probe()

    def end(self, period: int, began: float, error: BaseException | None) -> None:
        """
        Take what came of a call.

        Args:
            period: What `admit` gave.
            began: When it began, by the breaker's clock.
            error: What it raised, if anything.
        """
        if error is None:
            self._end(period, began, failed=False)
        elif self._says_nothing(error):
            self._give_back(period)
        else:
            self._end(period, began, failed=self._is_failure(error))

    def _says_nothing(self, error: BaseException) -> bool:
        if not isinstance(error, Exception):  # cancelled: the caller's doing
            return True
        return isinstance(error, BulkheadFull) or self._is_neutral(error)

    def _admit_probe(self) -> int:
        with self._lock:
            now = self.clock()
            if self._phase[0] is State.OPEN and now >= self._open_until:
                self._enter(State.HALF_OPEN)
            state, period = self._phase
            if state is State.OPEN:
                raise CircuitOpen(self.name, self._open_until - now)
            if state is State.HALF_OPEN:
                if self._admitted == self.limits.probes:
                    raise CircuitOpen(self.name, 0.0)
                self._admitted += 1
            return period

    def _end(self, period: int, began: float, *, failed: bool) -> None:
        with self._lock:
            state, current = self._phase
            if period != current:
                return
            now = self.clock()
            failed = failed or now - began > self.limits.slow_after
            if state is State.HALF_OPEN:
                self._probed(now, failed=failed)
            else:
                self._counted(now, failed=failed)

    def _give_back(self, period: int) -> None:
        """Let another probe take the place of one that says nothing."""
        with self._lock:
            if self._phase == (State.HALF_OPEN, period):
                self._admitted -= 1

    def _probed(self, now: float, *, failed: bool) -> None:
        if failed:
            self._open_for = min(self._open_for * 2, self.limits.open_for_most)
            self._open(now)
            return
        self._succeeded += 1
        if self._succeeded == self.limits.probes:
            self._open_for = self.limits.open_for
            self._enter(State.CLOSED)

    def _counted(self, now: float, *, failed: bool) -> None:
        self._window.add(now, failed=failed)
        if not failed:
            return
        calls, failures = self._window.totals(now)
        enough = calls >= self.limits.minimum_calls
        if enough and failures >= self.limits.failure_rate * calls:
            self._open(now, calls=calls, failures=failures)

    def _open(self, now: float, **fields: int) -> None:
        self._open_until = now + self._open_for
        self._enter(State.OPEN, seconds=self._open_for, **fields)

    def _enter(self, state: State, **fields: float) -> None:
        self._phase = (state, self._phase[1] + 1)
        self._admitted = self._succeeded = 0
        self._window.clear()
        event = "opened" if state is State.OPEN else state.value
        self._observe(Event("circuit_breaker", self.name, event, dict(fields)))


class GuardedCall:
    """The block around one call."""

    __slots__ = ("_began", "_breaker", "_period")

    def __init__(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker

    def __enter__(self) -> Self:
        self._period = self._breaker.admit()
        self._began = self._breaker.clock()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._breaker.end(self._period, self._began, error)
