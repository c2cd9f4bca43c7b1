"""What the control endpoints tell: the state in JSON's types, ends as seconds left."""

from typing import Any

from service.config import SettingsStore
from service.config.leaves import leaves
from service.config.loading import value_at
from service.config.show import rows
from service.control.delays import Document
from service.control.levels import effective
from service.control.state import ControlState
from service.settings import LogSettings, Settings

__all__ = ["changed_keys", "fault", "levels", "readiness", "settings"]


def readiness(state: ControlState, now: float) -> dict[str, Any]:
    """Return whether the service is switched on, and why not, at *now*."""
    if state.readiness is None:
        return {"ready": True}
    return {"ready": False, **_with_end(state.readiness, now)}


def fault(each: Document, now: float) -> dict[str, Any]:
    """Return a fault with its id and the seconds it has left at *now*."""
    return _with_end(each, now)


def levels(state: ControlState, now: float, *, log: LogSettings) -> dict[str, Any]:
    """Return the levels in force, and the override among them, or null."""
    override = state.levels
    in_force = effective(log, override)
    return {
        "level": in_force.level,
        "loggers": in_force.loggers,
        "override": None if override is None else _with_end(override, now),
    }


def settings(store: SettingsStore) -> dict[str, Any]:
    """Return every setting by its key: value, origin, and whether it is live."""
    shown = rows(store.current, origins=store.origins)
    return {
        row.leaf.key: {"value": row.value, "origin": row.origin, "live": row.leaf.live}
        for row in shown
    }


def changed_keys(old: Settings, new: Settings) -> list[str]:
    """Return the keys of the settings that differ."""
    return [key for key in leaves() if value_at(old, key) != value_at(new, key)]


def _with_end(each: Document, now: float) -> dict[str, Any]:
    members = each.model_dump(mode="json", exclude_none=True)
    end = members.pop("expires_at", None)
    if end is not None:
        members["expires_in"] = round(max(0.0, end - now), 3)
    return members
