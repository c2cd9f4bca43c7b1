"""
Settings from layered sources, each value with its origin, and their live reload.

What the settings are is in `service.settings`; here is where they come from. The order,
from the lowest: defaults, file, secrets folder, environment, flags.
"""

from service.config.layers import Flag
from service.config.loading import Loaded, load
from service.config.sources import Sources
from service.config.store import NoReloadMetrics, ReloadMetrics, SettingsStore

__all__ = [
    "Flag",
    "Loaded",
    "NoReloadMetrics",
    "ReloadMetrics",
    "SettingsStore",
    "Sources",
    "load",
]
