"""What commands are given besides options."""

import sys
from typing import BinaryIO

import typer

__all__ = ["is_text", "standard_input"]


def is_text(argument: str) -> bool:
    """Whether it can be told to a service: arguments, as names of files, are bytes."""
    return not any("\ud800" <= each <= "\udfff" for each in argument)


def standard_input() -> BinaryIO:
    """
    Return standard input, for bytes.

    Raises:
        BadParameter: It is closed.
    """
    if sys.stdin is None:
        raise typer.BadParameter("there is no standard input")
    return sys.stdin.buffer
