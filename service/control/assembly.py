"""The control endpoints, put together from settings, metrics and health."""

from pydantic import SecretStr

from service.bearer import Guard
from service.control.board import Switchboard
from service.control.faults import Injector
from service.control.levels import Levels
from service.control.routes import Control
from service.control.sharing import Follower, StateFile
from service.control.state import ControlState
from service.feature import Core, Feature
from service.server.around import Around

__all__ = ["control"]


def control(core: Core) -> Feature:
    """Return the endpoints, the filter that injects faults, and what follows both."""
    metrics = core.metrics.control
    shared = core.multiprocess_dir
    file = None if shared is None else StateFile(shared)
    board = Switchboard() if file is None else Switchboard(publish=file.write)
    injector = Injector(count=lambda kind: metrics.injected.labels(kind).inc())
    levels = Levels(lambda: core.store.current.log)

    def measure(_old: ControlState, new: ControlState) -> None:
        metrics.active.set(len(new.faults))

    def token() -> SecretStr | None:
        return core.store.current.server.admin.control.token

    for listener in (injector.update, levels.update, measure):
        board.listen(listener)
    core.health.switched_off = lambda: _reason(board.state)
    guard = Guard(
        "control",
        token=token,
        count=lambda reason: metrics.refusals.labels(reason).inc(),
    )
    endpoints = Control(
        board,
        store=core.store,
        discovery=core.discovery,
        flags=core.flags,
        observe=lambda event: metrics.reloads.labels(event.event).inc(),
    )
    return Feature(
        admin_routes=[guard.protect(route) for route in endpoints.routes()],
        filters=[Around(injector.enter)],
        parts=[Follower(board, store=core.store, on_reload=levels.reloaded, file=file)],
    )


def _reason(state: ControlState) -> str | None:
    """Return why readiness is switched off, or None."""
    return None if state.readiness is None else state.readiness.reason
