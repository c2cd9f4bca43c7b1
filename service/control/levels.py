"""Log levels that an operator sets over those of the settings, until they end."""

from collections.abc import Callable

from service.control.state import ControlState, LevelOverride
from service.observability import logging
from service.settings import LogSettings, Settings

__all__ = ["LOGGER", "Levels", "effective"]

LOGGER = "httpserver.control"
"""Logger of the audit lines: an override does not silence them by the way."""


def effective(settings: LogSettings, override: LevelOverride | None) -> LogSettings:
    """Return the levels in force: those of *override* win."""
    if override is None:
        return settings
    return settings.model_copy(
        update={
            "level": override.level or settings.level,
            "loggers": {LOGGER: "warning"} | settings.loggers | override.loggers,
        }
    )


class Levels:
    """
    Puts the levels in force.

    Args:
        settings: Gives the log settings as they are now.

    Concurrency:
        Any thread.
    """

    def __init__(self, settings: Callable[[], LogSettings]) -> None:
        self._settings = settings
        self._override: LevelOverride | None = None

    def update(self, old: ControlState, new: ControlState) -> None:
        """Follow a change of the state."""
        if old.levels != new.levels:
            self._override = new.levels
            logging.set_levels(effective(self._settings(), new.levels))

    def reloaded(self, _old: Settings, new: Settings) -> None:
        """Put the override back over settings that were just loaded."""
        if self._override is not None:
            logging.set_levels(effective(new.log, self._override))
