"""The control endpoints: each change is one swap of the state and one audit line."""

import asyncio
import secrets
from typing import TYPE_CHECKING

from service.config import SettingsStore
from service.control import shown
from service.control.board import Switchboard
from service.control.levels import LOGGER
from service.control.requests import (
    MAX_BYTES,
    FaultRequest,
    LevelRequest,
    ReadinessRequest,
    read,
)
from service.control.state import ControlState, Fault, LevelOverride, ReadinessOff
from service.errors import NotFound, RequestError
from service.observability.logging import get_logger
from service.resilience.debounce import Debounce
from service.resilience.events import Observe, ignore
from service.server.context import RequestContext
from service.server.responses import Response
from service.server.routes import Handler, Route

if TYPE_CHECKING:
    from service.discovery.view import Discovery
    from service.flags import Flags

__all__ = ["Control"]

MOST_FAULTS = 100
"""Faults in force at once; each is looked at for every request."""

QUIET_PERIOD = 0.1
"""Seconds without a further request after which the settings are loaded."""

LONGEST_FLOOD = 1.0
"""Seconds after which they are loaded though requests go on."""


class Control:
    """
    The handlers of `/control`.

    Args:
        board: Where the state is.
        store: The settings, live.
        discovery: What is known of other services; None where nothing is.
        flags: The feature flags; None where there are none.
        observe: Told of requests to reload that became one.

    Concurrency:
        For the admin port's event loop.
    """

    def __init__(
        self,
        board: Switchboard,
        *,
        store: SettingsStore,
        discovery: "Discovery | None" = None,
        flags: "Flags | None" = None,
        observe: Observe = ignore,
    ) -> None:
        self._board = board
        self._store = store
        self._discovery = discovery
        self._flags = flags
        self._log = get_logger(LOGGER)
        self._load = Debounce(
            self._load_once,
            QUIET_PERIOD,
            most=LONGEST_FLOOD,
            name="reload",
            observe=observe,
        )

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        return [
            _route("", self.overview, "What there is, and what is in force"),
            _route("/readiness", self.readiness, "Whether readiness is switched off"),
            _route("/readiness", self.put_readiness, "Switch readiness", "PUT"),
            _route("/faults", self.faults, "Faults in force"),
            _route("/faults", self.post_fault, "Begin a fault", "POST"),
            _route("/faults", self.delete_faults, "End every fault", "DELETE"),
            _route("/faults/{id}", self.fault, "One fault"),
            _route("/faults/{id}", self.delete_fault, "End a fault", "DELETE"),
            _route("/log-level", self.levels, "Log levels in force"),
            _route("/log-level", self.put_levels, "Override log levels", "PUT"),
            _route("/log-level", self.delete_levels, "End the override", "DELETE"),
            _route("/reload", self.reload, "Load the settings anew", "POST"),
            _route("/config", self.config, "Settings in force and their origins"),
            _route("/discovery", self.discovery, "Other services and their endpoints"),
            _route("/flags", self.flags, "Feature flags, and why they are so"),
        ]

    async def overview(self, ctx: RequestContext) -> Response:
        """List the endpoints and the state."""
        state, now = self._board.state, self._board.now()
        endpoints = [
            {"method": route.methods[0], "path": route.path, "summary": route.summary}
            for route in self.routes()
        ]
        return ctx.ok(
            {
                "endpoints": endpoints,
                "readiness": shown.readiness(state, now),
                "faults": [shown.fault(each, now) for each in state.faults],
                "log_level": shown.levels(state, now, log=self._store.current.log),
                "need_restart": self._store.need_restart,
            }
        )

    # -- readiness -------------------------------------------------------------

    async def readiness(self, ctx: RequestContext) -> Response:
        """Tell whether readiness is switched off."""
        return ctx.ok(shown.readiness(self._board.state, self._board.now()))

    async def put_readiness(self, ctx: RequestContext) -> Response:
        """Switch readiness off or on."""
        asked = await read(ctx, ReadinessRequest)
        off = None
        if not asked.ready:
            off = ReadinessOff(
                reason=asked.reason, expires_at=self._end(asked.expires_in)
            )
        self._change(readiness=off)
        self._tell(ctx, "readiness", asked.model_dump(exclude_none=True))
        return await self.readiness(ctx)

    # -- faults ----------------------------------------------------------------

    async def faults(self, ctx: RequestContext) -> Response:
        """List the faults in force, the oldest first."""
        state, now = self._board.state, self._board.now()
        return ctx.ok({"faults": [shown.fault(each, now) for each in state.faults]})

    async def post_fault(self, ctx: RequestContext) -> Response:
        """
        Begin a fault.

        Raises:
            RequestError: There are too many (409).
        """
        asked = await read(ctx, FaultRequest)
        rule = {name: getattr(asked, name) for name in asked.model_fields_set}
        end = self._board.now() + rule.pop("expires_in")
        fault = Fault(**rule, id=secrets.token_hex(4), expires_at=end)

        def begin(state: ControlState) -> ControlState:
            if len(state.faults) >= MOST_FAULTS:
                raise RequestError(
                    f"There are {MOST_FAULTS} faults already.", status=409
                )
            return state.model_copy(update={"faults": (*state.faults, fault)})

        self._board.change(begin)
        document = shown.fault(fault, self._board.now())
        self._tell(ctx, "fault", {"action": "begun", **document})
        return ctx.created(document, location=f"/control/faults/{fault.id}")

    async def fault(self, ctx: RequestContext) -> Response:
        """
        Tell one fault.

        Raises:
            NotFound: It is over, or never was.
        """
        found = self._found(self._board.state, ctx.path_params["id"])
        return ctx.ok(shown.fault(found, self._board.now()))

    async def delete_fault(self, ctx: RequestContext) -> Response:
        """
        End one fault.

        Raises:
            NotFound: It is over, or never was.
        """
        wanted = ctx.path_params["id"]

        def end(state: ControlState) -> ControlState:
            gone = self._found(state, wanted)
            left = tuple(each for each in state.faults if each is not gone)
            return state.model_copy(update={"faults": left})

        self._board.change(end)
        self._tell(ctx, "fault", {"action": "ended", "id": wanted})
        return ctx.no_content()

    async def delete_faults(self, ctx: RequestContext) -> Response:
        """End every fault."""
        self._change(faults=())
        self._tell(ctx, "fault", {"action": "ended", "id": "all"})
        return ctx.no_content()

    @staticmethod
    def _found(state: ControlState, wanted: str) -> Fault:
        for each in state.faults:
            if each.id == wanted:
                return each
        raise NotFound("There is no such fault.")

    # -- log levels ------------------------------------------------------------

    async def levels(self, ctx: RequestContext) -> Response:
        """Tell the log levels in force."""
        log = self._store.current.log
        return ctx.ok(shown.levels(self._board.state, self._board.now(), log=log))

    async def put_levels(self, ctx: RequestContext) -> Response:
        """Override log levels; an earlier override is gone."""
        asked = await read(ctx, LevelRequest)
        override = LevelOverride(
            level=asked.level,
            loggers=asked.loggers,
            expires_at=self._end(asked.expires_in),
        )
        # before the change: the new level may be one at which the line is not written
        self._tell(ctx, "log_level", asked.model_dump(exclude_none=True))
        self._change(levels=override)
        return await self.levels(ctx)

    async def delete_levels(self, ctx: RequestContext) -> Response:
        """Let the settings decide again."""
        self._tell(ctx, "log_level", {"action": "ended"})
        self._change(levels=None)
        return ctx.no_content()

    # -- settings --------------------------------------------------------------

    async def reload(self, ctx: RequestContext) -> Response:
        """
        Load the settings anew, in the workers too; once for requests that come close
        upon each other, after the last of them.

        Raises:
            RequestError: They can't be used, and the old ones stay (409).
        """
        self._tell(ctx, "reload", {})
        return ctx.ok(await self._load())

    async def _load_once(self) -> dict[str, object]:
        before = self._store.current
        changed = await asyncio.to_thread(self._store.reload)
        if self._store.problems:
            raise RequestError(
                "The settings can't be used; those before stay in force.",
                status=409,
                extensions={"problems": self._store.problems},
            )
        self._board.change(
            lambda state: state.model_copy(update={"reloads": state.reloads + 1})
        )
        return {
            "result": "changed" if changed else "unchanged",
            "changed": shown.changed_keys(before, self._store.current),
            "need_restart": self._store.need_restart,
        }

    async def config(self, ctx: RequestContext) -> Response:
        """Tell the settings in force, each with its origin; secrets are masked."""
        document = {
            "settings": shown.settings(self._store),
            "need_restart": self._store.need_restart,
        }
        return ctx.ok(document)

    # -- discovery -------------------------------------------------------------

    async def discovery(self, ctx: RequestContext) -> Response:
        """Tell the services that are discovered, as this process knows them."""
        none: dict[str, object] = {"zone": "", "services": {}}
        return ctx.ok(self._discovery.view() if self._discovery else none)

    # -- feature flags ---------------------------------------------------------

    async def flags(self, ctx: RequestContext) -> Response:
        """Tell the feature flags as this process has them."""
        none: dict[str, object] = {"provider": "", "flags": {}}
        return ctx.ok(self._flags.view() if self._flags else none)

    # -- what they share -------------------------------------------------------

    def _end(self, seconds: float | None) -> float | None:
        return None if seconds is None else self._board.now() + seconds

    def _change(self, **values: object) -> None:
        self._board.change(lambda state: state.model_copy(update=values))

    def _tell(self, ctx: RequestContext, what: str, details: dict[str, object]) -> None:
        """Write the audit line."""
        self._log.warning("control_changed", who=ctx.client, what=what, change=details)


def _route(path: str, handler: Handler, summary: str, method: str = "GET") -> Route:
    return Route(
        path=f"/control{path}",
        handler=handler,
        methods=(method,),
        summary=summary,
        max_body_bytes=MAX_BYTES,
    )
