"""`httpserver hash-password`."""

import sys

import typer

from service.cli.output import write

__all__ = ["hash_password"]

_LONGEST_PASSWORD = 4096
"""Bytes of a password; more is not typed by anyone."""


def hash_password() -> None:
    """
    Print the Argon2 hash of a password, for `login.users`.

    The password is asked for, or read from standard input when that is no terminal.
    """
    from argon2 import PasswordHasher

    terminal = sys.stdin is not None and sys.stdin.isatty()
    password = _ask_password() if terminal else _read_password()
    if not password:
        raise typer.BadParameter("the password is empty")
    write(PasswordHasher().hash(password))


def _ask_password() -> str:
    import getpass

    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise typer.BadParameter("the passwords differ")
    return password


def _read_password() -> str:
    """Read one line; more than that is a mistake, not a password."""
    content = sys.stdin.buffer.read(_LONGEST_PASSWORD + 1) if sys.stdin else b""
    if len(content) > _LONGEST_PASSWORD:
        raise typer.BadParameter("the password is longer than 4096 bytes")
    try:
        password = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise typer.BadParameter("the password is not UTF-8") from None
    if "\n" in password:
        raise typer.BadParameter("the password has more than one line")
    return password
