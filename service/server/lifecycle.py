"""
Start and stop of the process: the order of everything stands here.

    starting   bind the ports, open the admin port, start the parts, first to last
    ready      open the main port, report ready
    draining   SIGTERM or SIGINT: not ready, but still accepting for `drain_delay`,
               every answer with `Connection: close`, until no load balancer sends more
    stopping   stop accepting, let requests in flight finish within `grace_period`, on
               the main port and on those of parts, stop the parts, last to first
    stopped    close the admin port, exit

A second signal forces the exit within a second; `hard_limit` after the first one a
watchdog thread ends the process even if the event loop hangs.
"""

import asyncio
import enum
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Sequence
from types import FrameType

from service.errors import StartError
from service.observability.logging import get_logger
from service.server.listener import ServerThread
from service.server.parts import MainServer, Part, ServingPart, Timing

__all__ = ["Lifecycle", "Phase"]

FORCE_LIMIT = 1.0
"""Seconds between a second signal and the end of the process, whatever it is doing."""

EXIT_CLEAN = 0
EXIT_FAILED = 1


class Phase(enum.StrEnum):
    """Where the process is between its start and its end."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Lifecycle:
    """
    Runs a service from its start to its end.

    Args:
        parts: Started in this order, stopped in the reverse one.
        main: The server that is opened last and closed first.
        admin: The server of probes and metrics, open all the time.
        timing: How long the stop may take.
        on_phase: Told each phase as it begins.
        on_hangup: Called on SIGHUP, in a worker thread.
    """

    def __init__(
        self,
        *,
        parts: Sequence[Part],
        main: MainServer,
        admin: ServerThread | None,
        timing: Timing,
        on_phase: Callable[[Phase], None] = lambda _phase: None,
        on_hangup: Callable[[], object] = lambda: None,
    ) -> None:
        self.phase = Phase.STARTING
        self._parts = list(parts)
        self._started: list[Part] = []
        self._main = main
        self._admin = admin
        self._timing = timing
        self._on_phase = on_phase
        self._on_hangup = on_hangup
        self._stop = asyncio.Event()
        self._force = asyncio.Event()
        self._signals: list[int] = []
        self._log = get_logger("httpserver.lifecycle")

    async def run(self) -> int:
        """
        Start, serve until a signal or `request_stop`, stop; return the exit code.

        Returns:
            0 after a clean stop, 1 when the start failed or requests had to be cut,
            128 + the signal's number when a second one forced the exit.

        Concurrency:
            On the main thread, which alone may take signals.
        """
        self._loop = asyncio.get_running_loop()
        self._take_signals()
        self._enter(Phase.STARTING)
        failure = await self._unless_stopped(self._start())
        if failure is None and not self._stop.is_set():
            self._enter(Phase.READY)
            await self._stop.wait()
        clean = await self._wind_down()
        self._enter(Phase.STOPPED)
        if self._admin is not None and self._admin.started:
            await self._admin.stop(grace=0.5)
        return self._exit_code(clean=clean and failure is None)

    def request_stop(self) -> None:
        """Begin the stop as a signal would, from any thread."""
        self._loop.call_soon_threadsafe(self._stop.set)

    # -- start -----------------------------------------------------------------

    async def _start(self) -> None:
        self._main.bind()
        if self._admin is not None:
            self._admin.server.bind()
            await self._admin.start()
        for part in self._parts:
            await self._start_part(part)
        await self._main.start()
        admin = [] if self._admin is None else [self._admin.server]
        for server in (self._main, *admin):
            for each in server.endpoints:
                self._log.info("listening", **each._asdict())

    async def _start_part(self, part: Part) -> None:
        try:
            await part.start()
        except Exception as error:
            # a port in use or a folder that may not be written is for who runs it to
            # mend: its words are in start_failed, and a trace would hide them
            if not isinstance(error, OSError | StartError):
                self._log.exception("part_start_failed", part=part.name)
            msg = f"{part.name}: {error}"
            raise StartError(msg) from error
        self._started.append(part)

    async def _unless_stopped(self, start: Awaitable[None]) -> StartError | None:
        """Run *start*, cancelled by a stop; return why it failed, if it did."""
        starting = asyncio.ensure_future(start)
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:  # a SIGINT from before the signals were taken
            self._stop.set()
        stopped.cancel()
        starting.cancel()
        try:
            await starting
        except asyncio.CancelledError:
            return None
        except StartError as error:
            self._log.error("start_failed", reason=str(error))
            return error
        except Exception as error:  # noqa: BLE001 - what was started must be stopped
            self._log.exception("start_failed", reason=str(error))
            return StartError(str(error))
        return None

    # -- stop ------------------------------------------------------------------

    async def _wind_down(self) -> bool:
        """Go from ready to stopped; return whether nothing was cut."""
        if self.phase is Phase.READY:
            self._main.begin_drain()
            for each in self._serving():
                each.begin_drain()
            self._enter(Phase.DRAINING, seconds=self._timing.drain_delay)
            await self._pause(self._timing.drain_delay)
        grace = 0.0 if self._force.is_set() else self._timing.grace_period
        self._enter(Phase.STOPPING, in_flight=self._main.in_flight, seconds=grace)
        cut = await self._finish(grace)
        if cut:
            self._log.error("requests_cut", count=cut)
        for part in reversed(self._started):
            await self._stop_part(part)
        return not cut

    async def _finish(self, grace: float) -> int:
        """Close what listens; a forced stop ends the grace at once."""
        closing = asyncio.ensure_future(self._close(grace))
        forced = asyncio.ensure_future(self._force.wait())
        await asyncio.wait({closing, forced}, return_when=asyncio.FIRST_COMPLETED)
        forced.cancel()
        if closing.done():
            return closing.result()
        closing.cancel()
        return await self._close(0.0)

    async def _close(self, grace: float) -> int:
        """Close the main server and those of parts; return how many were cut."""
        parts = (self._finish_part(each, grace) for each in self._serving())
        return sum(await asyncio.gather(self._main.stop(grace=grace), *parts))

    async def _finish_part(self, part: ServingPart, grace: float) -> int:
        try:
            return await part.finish(grace=grace)
        except Exception:  # noqa: BLE001 - one part must not keep the others open
            self._log.exception("part_stop_failed", part=part.name)
            return 0

    def _serving(self) -> list[ServingPart]:
        return [each for each in self._started if isinstance(each, ServingPart)]

    async def _stop_part(self, part: Part) -> None:
        try:
            await part.stop()
        except Exception:  # noqa: BLE001 - one part must not keep the others open
            self._log.exception("part_stop_failed", part=part.name)

    async def _pause(self, seconds: float) -> None:
        """Wait *seconds*, or until the stop is forced."""
        try:
            async with asyncio.timeout(seconds):
                await self._force.wait()
        except TimeoutError:
            return

    def _enter(self, phase: Phase, **fields: object) -> None:
        self.phase = phase
        self._on_phase(phase)
        self._log.info("lifecycle", phase=phase.value, **fields)

    def _exit_code(self, *, clean: bool) -> int:
        if self._force.is_set():
            return 128 + self._signals[1]
        return EXIT_CLEAN if clean else EXIT_FAILED

    # -- signals ---------------------------------------------------------------

    def _take_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        # signal.signal, not the loop's handlers: it works while the loop is busy
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGHUP, self._on_sighup)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Note the signal; nothing here may take a lock that the main thread holds."""
        self._signals.append(number)
        if len(self._signals) == 1:
            self._loop.call_soon_threadsafe(self._stop.set)
            _exit_after(self._timing.hard_limit, EXIT_FAILED)
        elif not self._force.is_set():
            self._loop.call_soon_threadsafe(self._force.set)
            _exit_after(FORCE_LIMIT, 128 + number)

    def _on_sighup(self, _number: int, _frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(
            self._loop.run_in_executor, None, self._on_hangup
        )


def _exit_after(seconds: float, code: int) -> None:
    """End the process after *seconds*, whatever it is doing then."""
    timer = threading.Timer(seconds, os._exit, args=(code,))
    timer.daemon = True
    timer.start()
