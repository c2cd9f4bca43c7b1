"""
Values of the sources that hold text alone: secrets folder, environment and `--set`.

Text settings are taken as they stand, numbers and truth values as pydantic reads them,
lists and mappings as JSON.
"""

import json
from typing import Any, NoReturn

from service.config.leaves import Leaf

__all__ = ["TextError", "value_of"]


class TextError(Exception):
    """A text that can't be a value; the message never holds the text."""


def value_of(leaf: Leaf, text: str) -> Any:
    """
    Return the value that *text* stands for, not yet checked against the setting.

    Raises:
        TextError: It is empty where text is not wanted, or it is not JSON where a list
            or mapping is.
    """
    if not text.strip() and not leaf.textual:
        raise TextError("is empty; leave it out to keep the default")
    if not leaf.structured:
        return text
    try:
        return json.loads(
            text, object_pairs_hook=_once, parse_constant=_refuse_constant
        )
    except json.JSONDecodeError as error:
        raise TextError(f"must be JSON: {error.msg} at {error.pos + 1}") from None
    except (
        ValueError,
        RecursionError,
    ):  # a number of thousands of digits, deep nesting
        raise TextError("must be JSON of a sane size") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise TextError("must be JSON: a key stands twice in a mapping")
    return dict(pairs)


def _refuse_constant(_: str) -> NoReturn:
    raise TextError("must be JSON: NaN and Infinity are not allowed")
