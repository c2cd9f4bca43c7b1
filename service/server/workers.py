"""
Several worker processes behind one set of ports, for machines without an orchestrator.

On Kubernetes one process per pod is right: the pod is the worker. Here the parent binds
the ports, starts the workers with the sockets inherited, keeps the admin port, and
stands in for the main server in the lifecycle: it passes the drain on, waits for the
workers to finish, and starts a new one for each that dies.

A worker is the same command with `WORKER_VARIABLE` set: it serves on the inherited
sockets without an admin port, writes one byte to its status pipe when it is ready, and
stops when the parent goes away (its control pipe ends).
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Self

from service.errors import StartError
from service.observability.logging import get_logger
from service.server.ports import Endpoint, Ports

__all__ = ["WORKER_VARIABLE", "Inherited", "WorkerPool"]

WORKER_VARIABLE = "_HTTPSERVER_WORKER"
"""Environment variable that makes the command a worker: JSON of `Inherited`."""

RESTART_DELAY = 1.0
"""Seconds between the death of a worker and its successor, so that one that dies at
once does not take the machine with it."""

FORCED = 0.3
"""Seconds until the workers of a parent that is forced to exit are killed."""

START_LIMIT = 60.0
"""Seconds that a worker may take to report ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inherited:
    """
    What a worker has from its parent, as file descriptors.

    Attributes:
        listeners: Bound sockets to serve on.
        tls_listeners: Those that speak TLS.
        status: Pipe to write a byte to when ready.
        control: Pipe that ends when the parent is gone.
    """

    listeners: tuple[int, ...]
    tls_listeners: tuple[int, ...]
    status: int
    control: int

    @classmethod
    def from_environment(cls) -> Self | None:
        """Return it for a worker, or None for a process of its own."""
        text = os.environ.pop(WORKER_VARIABLE, None)
        if text is None:
            return None
        values = json.loads(text)
        for name in ("listeners", "tls_listeners"):  # JSON knows no tuples
            values[name] = tuple(values[name])
        return cls(**values)

    @property
    def files(self) -> tuple[int, ...]:
        """All of them."""
        return (*self.listeners, *self.tls_listeners, self.status, self.control)

    def report_ready(self) -> None:
        """Tell the parent that this worker serves."""
        os.write(self.status, b"1")

    def watch_parent(self, on_gone: Callable[[], None]) -> None:
        """Call *on_gone* on the running loop when the parent is gone."""
        loop = asyncio.get_running_loop()

        def gone() -> None:
            loop.remove_reader(self.control)
            on_gone()

        loop.add_reader(self.control, gone)


class WorkerPool:
    """
    The main server of a parent process: the workers together.

    Args:
        ports: Where the workers listen; their name is that of the pool.
        count: How many workers.
        environment: Variables that the workers get besides the parent's own.
        on_exit: Told the process id of each worker that is gone.
    """

    def __init__(
        self,
        *,
        ports: Ports,
        count: int,
        environment: dict[str, str],
        on_exit: Callable[[int], None],
    ) -> None:
        self.name = ports.name
        self.in_flight = 0
        self._ports = ports
        self._count = count
        self._environment = environment
        self._on_exit = on_exit
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._ready: set[int] = set()
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = False
        self._failed = 0
        self._control = os.pipe()
        self._log = get_logger("httpserver.workers")

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where the workers listen."""
        return self._ports.endpoints

    def bind(self) -> None:
        """
        Take the ports.

        Raises:
            StartError: A port is in use or may not be taken.
        """
        self._ports.bind()

    async def start(self) -> None:
        """
        Start the workers and wait until each is ready.

        Raises:
            StartError: One did not get ready in time.
        """
        self.bind()
        ready = [asyncio.Event() for _ in range(self._count)]
        self._keepers = [
            asyncio.create_task(self._keep(number, event))
            for number, event in enumerate(ready)
        ]
        try:
            async with asyncio.timeout(START_LIMIT):
                await asyncio.gather(*(event.wait() for event in ready))
        except TimeoutError:
            msg = f"{self.name}: not every worker was ready within {START_LIMIT:g} s"
            raise StartError(msg) from None

    async def check(self) -> None:
        """
        Return when every worker is ready.

        Raises:
            RuntimeError: One is gone and its successor is not up yet.
        """
        if len(self._ready) < self._count:
            msg = f"{len(self._ready)} of {self._count} workers are ready"
            raise RuntimeError(msg)

    def begin_drain(self) -> None:
        """Tell the workers to drain; they keep accepting for the drain delay."""
        self._stopping = True
        self.signal(signal.SIGTERM)

    def signal(self, number: int) -> None:
        """Send signal *number* to every worker; from any thread."""
        self._kill(tuple(self._running), number)

    def reload(self) -> None:
        """Let every worker that is ready look at its settings; from any thread."""
        # one that is starting reads them anyway, and would die of the signal
        self._kill(tuple(self._ready), signal.SIGHUP)

    def _kill(self, pids: Iterable[int], number: int) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def stop(self, *, grace: float) -> int:
        """
        Wait for the workers to end; end them by force after *grace* seconds.

        Returns:
            How many workers had to cut requests or were ended by force.
        """
        if not self._stopping:
            self.begin_drain()
        self._ports.close()  # else the kernel would queue connections that nobody takes
        # a worker needs a moment longer than its own grace period to let go; a stop by
        # force has less than a second for all of it
        limit = grace + 1.0 if grace else FORCED
        late: set[asyncio.Task[None]] = set()
        if self._keepers:  # there are none when the ports could not be opened
            _done, late = await asyncio.wait(self._keepers, timeout=limit)
        self.signal(signal.SIGKILL)
        if late:
            await asyncio.wait(late)
        return self._failed

    async def _keep(self, number: int, ready: asyncio.Event) -> None:
        """Run worker *number*, and its successors, until the stop."""
        while not self._stopping:
            process = await self._spawned(number, ready)
            if process is None:
                return
            if self._stopping:  # since; it has not heard of it
                self._kill([process.pid], signal.SIGTERM)
            code = await process.wait()
            del self._running[process.pid]
            was_ready = process.pid in self._ready
            self._ready.discard(process.pid)
            self._on_exit(process.pid)
            if self._stopping:
                # one that was still starting had nothing to lose
                self._failed += was_ready and code != 0
                return
            self._log.error("worker_died", worker=number, pid=process.pid, code=code)
            await asyncio.sleep(RESTART_DELAY)

    async def _spawned(
        self, number: int, ready: asyncio.Event
    ) -> asyncio.subprocess.Process | None:
        """
        Return a new process, as soon as the machine has room for one; None when the
        stop comes first.
        """
        while not self._stopping:
            try:
                return await self._spawn(number, ready)
            except OSError as error:
                reason = error.strerror or str(error)
                self._log.error("worker_not_started", worker=number, reason=reason)
                await asyncio.sleep(RESTART_DELAY)
        return None

    async def _spawn(
        self, number: int, ready: asyncio.Event
    ) -> asyncio.subprocess.Process:
        status_read, status_write = os.pipe()
        inherited = self._inherited(status_write)
        told = {WORKER_VARIABLE: json.dumps(asdict(inherited))}
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "service",
                *sys.argv[1:],
                env={**os.environ, **self._environment, **told},
                pass_fds=inherited.files,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # the parent passes a terminal's Ctrl-C on
            )
        except BaseException:
            os.close(status_read)
            raise
        finally:
            os.close(status_write)
        self._running[process.pid] = process
        self._log.info("worker_started", worker=number, pid=process.pid)
        self._watch_status(status_read, process.pid, ready)
        return process

    def _inherited(self, status: int) -> Inherited:
        """Return what a worker gets that is to report on *status*."""
        return Inherited(
            listeners=tuple(each.fileno() for each in self._ports.plain),
            tls_listeners=tuple(each.fileno() for each in self._ports.tls),
            status=status,
            control=self._control[0],
        )

    def _watch_status(self, pipe: int, pid: int, ready: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()

        def readable() -> None:
            loop.remove_reader(pipe)
            if os.read(pipe, 1):
                self._ready.add(pid)
                ready.set()
            os.close(pipe)

        loop.add_reader(pipe, readable)
