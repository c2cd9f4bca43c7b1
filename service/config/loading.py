"""
All sources put together: the settings, and where each of them came from.

From the lowest to the highest: defaults, file, secrets folder, environment, flags.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from service.config.environment import environment_layer
from service.config.layers import (
    Layer,
    file_layer,
    flags_layer,
    reason_of,
    secrets_layer,
)
from service.config.leaves import leaves
from service.config.problems import Problem
from service.config.sources import Snapshot, Sources
from service.errors import SettingsError
from service.settings import Settings

__all__ = ["DEFAULT", "Loaded", "build", "disagreements", "load", "merge", "value_at"]

DEFAULT = "default"
"""Origin of a setting that no source gives."""

_KEY = re.compile(r"[a-z_]+(?:\.[a-z_]+)+")
"""A dotted key in a message."""

_MOST = 100
"""Problems that are told one by one; a file of another kind has thousands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """
    Settings that can be used.

    Attributes:
        settings: The tree.
        origins: Where each leaf came from, by dotted key.
    """

    settings: Settings
    origins: Mapping[str, str]


def load(sources: Sources, *, snapshot: Snapshot | None = None) -> Loaded:
    """
    Return the settings that *sources* give.

    Args:
        sources: Where to look.
        snapshot: What was read from disk; None reads it now.

    Raises:
        SettingsError: With one line for everything that is wrong in any source.
    """
    taken = snapshot or sources.read()
    unread = Layer(problems=list(taken.problems), whole=not taken.problems)
    base = Layer(values={key: value_at(sources.base, key) for key in leaves()})
    layers = [base, unread, *_layers(sources, taken)]
    problems = [problem for layer in layers for problem in layer.problems]
    values, origins = merge(layers)
    try:
        settings = build(values)
    except ValidationError as error:
        if all(layer.whole for layer in layers):
            problems += _unexplained(
                disagreements(error, values=values, origins=origins), known=problems
            )
        raise _told(problems) from None
    if problems:
        raise _told(problems)
    return Loaded(settings=settings, origins=MappingProxyType(origins))


def _layers(sources: Sources, taken: Snapshot) -> list[Layer]:
    """Return the layers above the defaults, from the lowest to the highest."""
    file = Layer()
    if taken.config is not None and sources.config_path is not None:
        file = file_layer(taken.config, path=sources.config_path)
    return [
        file,
        secrets_layer(taken.secrets or {}),
        environment_layer(sources.environ),
        flags_layer(sources.flags),
    ]


def merge(layers: Iterable[Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    """
    Return the values of all layers and the origin of every leaf.

    Args:
        layers: From the lowest to the highest.
    """
    values: dict[str, Any] = {}
    origins = dict.fromkeys(leaves(), DEFAULT)
    for layer in layers:
        values |= layer.values
        origins |= layer.origins
    return values, origins


def build(values: Mapping[str, Any]) -> Settings:
    """
    Return the tree that holds *values*.

    Args:
        values: Checked values by dotted key.

    Raises:
        pydantic.ValidationError: They do not agree with each other.
    """
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *parents, name = leaves()[key].path
        section = tree
        for parent in parents:
            section = section.setdefault(parent, {})
        section[name] = value
    return Settings.model_validate(tree)


def value_at(settings: Settings, key: str) -> Any:
    """Return the value of the setting *key* in the tree."""
    value: Any = settings
    for name in leaves()[key].path:
        value = getattr(value, name)
    return value


def disagreements(
    error: ValidationError, *, values: Mapping[str, Any], origins: Mapping[str, str]
) -> list[Problem]:
    """
    Return what *error* says about values that are good one by one.

    Args:
        error: What `build` raised.
        values: What it was given.
        origins: Where each of them came from.

    Returns:
        Problems that stand where the settings stand which the message names.
    """
    problems = []
    for each in error.errors(include_url=False, include_input=False):
        key = ".".join(str(part) for part in each["loc"])
        named = [word for word in _KEY.findall(each["msg"]) if word in leaves()]
        if key in leaves():
            named = [key]
        places = {origins[name] for name in named} - {DEFAULT}
        shown = [_shown(name, values) for name in named if not leaves()[name].secret]
        reason = reason_of(each) + (f" ({', '.join(shown)})" if shown else "")
        place = ", ".join(sorted(places)) or "settings"
        problems.append(Problem(place=place, key=key, reason=reason))
    return problems


def _shown(key: str, values: Mapping[str, Any]) -> str:
    return f"{key} is {json.dumps(values[key], default=str)}"


def _unexplained(found: list[Problem], *, known: list[Problem]) -> list[Problem]:
    """Those of *found* that can't come from another problem in the same section."""
    return [
        problem
        for problem in found
        if not any(f"{each.key}.".startswith(f"{problem.key}.") for each in known)
    ]


def _told(problems: list[Problem]) -> SettingsError:
    lines = [str(problem) for problem in problems[:_MOST]]
    if len(problems) > _MOST:
        lines.append(f"… and {len(problems) - _MOST} more problems")
    return SettingsError(lines)
