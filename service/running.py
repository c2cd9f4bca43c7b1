"""
Running the service: alone in this process, as a parent of workers, or as a worker.

Each way is the same service and the same lifecycle; what differs is the main server and
who has the admin port.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import uvloop
from structlog.contextvars import bind_contextvars

from service import app
from service.app import Service
from service.config import SettingsStore
from service.lean_imports import lean_imports
from service.observability import logging
from service.observability.metrics import MULTIPROCESS_VARIABLE, mark_worker_dead
from service.request_settings import RequestSettings
from service.server.guard import Guard
from service.server.lifecycle import Lifecycle, Phase
from service.server.listener import Server, ServerThread
from service.server.memory import keep_large_blocks_apart, settle
from service.server.open_files import raise_limit
from service.server.parts import MainServer
from service.server.ports import Ports
from service.server.workers import Inherited, WorkerPool
from service.settings import ServerSettings

__all__ = ["run"]

SWITCH_INTERVAL = 0.0005
"""Seconds that a busy thread keeps the interpreter when another wants it: the admin
port's thread, which a probe makes ask several times. Python's own 5 ms would be a probe
of 20 ms whenever the service is busy."""


def run(store: SettingsStore) -> int:
    """
    Serve until a signal; return the exit code of the process.

    Args:
        store: The settings; they are watched and reloaded while serving.
    """
    logging.configure(store.current.log)
    sys.setswitchinterval(SWITCH_INTERVAL)
    raise_limit(store.current.server.max_connections)
    keep_large_blocks_apart()
    inherited = Inherited.from_environment()
    if inherited is not None:
        main = _serve_as_worker(store, inherited)
    else:
        _tell_exposed(store)  # a worker's parent has told it
        several = store.current.server.workers > 1
        main = _serve_as_parent(store) if several else _serve_alone(store)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def _tell_exposed(store: SettingsStore) -> None:
    """Warn of secrets that every user of the machine may read."""
    for name in store.sources.exposed():
        logging.get_logger("httpserver.config").warning("secret_exposed", setting=name)


async def _serve_alone(store: SettingsStore) -> int:
    """Serve in this one process."""
    process = _Process(store)
    service = _put_together(store, phase=process.phase)
    return await process.serve(service, main=_main_server(service, store))


async def _serve_as_worker(store: SettingsStore, inherited: Inherited) -> int:
    """Serve on the parent's sockets, without an admin port."""
    bind_contextvars(worker=os.getpid())
    process = _Process(store, on_ready=inherited.report_ready)
    shared = Path(os.environ[MULTIPROCESS_VARIABLE])
    service = _put_together(store, phase=process.phase, multiprocess_dir=shared)
    server = _main_server(service, store)
    server.ports.inherit(inherited.listeners, inherited.tls_listeners)
    inherited.watch_parent(process.request_stop)
    return await process.serve(service, main=server, admin=False)


async def _serve_as_parent(store: SettingsStore) -> int:
    """Keep the workers and the admin port."""
    settings = store.current.server
    process = _Process(store)
    with tempfile.TemporaryDirectory(prefix="httpserver-metrics-") as shared:
        pool = WorkerPool(
            ports=_ports(settings),
            count=settings.workers,
            environment={MULTIPROCESS_VARIABLE: shared},
            on_exit=partial(mark_worker_dead, Path(shared)),
        )
        service = _put_together(
            store,
            phase=process.phase,
            checks={"workers": pool.check},
            multiprocess_dir=Path(shared),
        )
        process.on_hangup = pool.reload
        return await process.serve(service, main=pool)


def _put_together(store: SettingsStore, **options: Any) -> Service:
    """Return the service; what its features import and define is part of the start."""
    with lean_imports():
        return app.create_service(store, **options)


def _ports(server: ServerSettings) -> Ports:
    """Return the ports of the main server."""
    tls = server.tls.ports if server.tls.enabled else ()
    return Ports(server.name, server.host, server.ports, tls)


def _main_server(service: Service, store: SettingsStore) -> Server:
    settings = store.current.server
    asked = RequestSettings(store)
    guard = Guard(
        lambda: asked.limits,
        observer=service.metrics.connections.of("main"),
    )
    return Server(
        service.app,
        ports=_ports(settings),
        backlog=settings.backlog,
        guard=guard,
        tls=service.certificates,
    )


def _admin_server(service: Service, store: SettingsStore) -> ServerThread:
    settings = store.current.server
    guard = Guard(
        lambda: store.current.server, observer=service.metrics.connections.of("admin")
    )
    name = f"{settings.name}-admin"
    ports = Ports(name, settings.admin.host, [settings.admin.port])
    return ServerThread(Server(service.admin, ports=ports, guard=guard))


class _Process:
    """The settings, the service and the lifecycle of one process, wired together."""

    def __init__(
        self, store: SettingsStore, *, on_ready: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._on_ready = on_ready
        self._lifecycle: Lifecycle | None = None
        self.on_hangup: Callable[[], None] = lambda: None

    def phase(self) -> Phase:
        return Phase.STARTING if self._lifecycle is None else self._lifecycle.phase

    def request_stop(self) -> None:
        if self._lifecycle is not None:
            self._lifecycle.request_stop()

    async def serve(
        self, service: Service, *, main: MainServer, admin: bool = True
    ) -> int:
        settings = self._store.current
        service.health.main_loop = asyncio.get_running_loop()
        pushing = app.metrics_push(self._store, service.metrics) if admin else []
        self._store.subscribe(lambda _old, new: logging.adapt(new.log))
        self._lifecycle = Lifecycle(
            # what pushes the metrics stops last, and pushes what the stop has counted
            parts=[*pushing, *service.parts, self._store.watcher],
            main=main,
            admin=_admin_server(service, self._store)
            if admin and settings.server.admin.enabled
            else None,
            timing=settings.server,
            on_phase=partial(self._entered, service),
            on_hangup=partial(self._reload, service),
        )
        return await self._lifecycle.run()

    def _entered(self, service: Service, phase: Phase) -> None:
        service.metrics.lifecycle.enter(phase.value)
        if phase is Phase.READY:
            settle()
            self._on_ready()

    def _reload(self, service: Service) -> None:
        self._store.reload()
        if service.certificates is not None:
            service.certificates.look(tell=True)
        self.on_hangup()
