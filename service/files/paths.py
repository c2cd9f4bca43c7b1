"""
Paths of files as clients say them, made into the one spelling that stores get.

A name that two programs read differently is how files are reached that nobody meant to
serve. So there is one spelling of each path (Unicode's NFC, single slashes, none at the
ends), and what might mean something else to a file system, a shell or a reader is
refused: dots that climb, NUL and other control characters, backslashes, the devices of
Windows, marks that turn the direction of text. Names keep their case: `A` and `a` are
two files.

Source: RFC 3986 §5.2.4; Unicode TR 36 (bidirectional text spoofing); Microsoft, Naming
Files, Paths and Namespaces
"""

import re
import unicodedata

from service.files.errors import InvalidPath

__all__ = [
    "MAX_DEPTH",
    "MAX_NAME",
    "MAX_PATH",
    "RESERVED",
    "directory_path",
    "file_path",
]

MAX_NAME = 255
"""Bytes of a name in UTF-8: what the file systems of Linux take."""

MAX_PATH = 1024
"""Bytes of a path in UTF-8: what S3 takes."""

MAX_DEPTH = 32
"""Names in a path: each is a step of every walk."""

RESERVED = ".uploads"
"""Name at the root that the service keeps for what is on its way."""

_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|(?:COM|LPT)[0-9¹²³])(?:\..*)?", re.IGNORECASE)
_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\\\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)
"""Control characters, the backslash, ends of lines, marks of direction and of order."""


def file_path(text: str) -> str:
    """
    Return the spelling of a file's path.

    Args:
        text: The path, decoded, without a slash at its start.

    Returns:
        Names with slashes between them, in NFC; at least one.

    Raises:
        InvalidPath: It can't be the path of a file.
    """
    path = directory_path(text)
    if not path:
        raise InvalidPath("A file has a name.")
    if text.endswith("/"):
        raise InvalidPath("A file's path does not end in a slash.")
    return path


def directory_path(text: str) -> str:
    """
    Return the spelling of a directory's path; that of the root is empty.

    Args:
        text: The path, decoded, without a slash at its start; one at its end is fine.

    Raises:
        InvalidPath: It can't be the path of a directory.
    """
    trimmed = text.removesuffix("/")
    if not trimmed:
        return ""
    path = unicodedata.normalize("NFC", trimmed)
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise InvalidPath("A path is Unicode text.") from None
    names = path.split("/")
    if size > MAX_PATH or len(names) > MAX_DEPTH:
        raise InvalidPath(f"A path has {MAX_PATH} bytes and {MAX_DEPTH} names at most.")
    for name in names:
        _check(name)
    # file systems that ignore case must not lead there either
    if names[0].casefold() == RESERVED:
        raise InvalidPath("This name is kept for the service.")
    return path


def _check(name: str) -> None:
    """
    Refuse a name that is none, or might be read as something else.

    Raises:
        InvalidPath: It is one of those.
    """
    if name in ("", ".", ".."):
        raise InvalidPath("A path has no empty or dotted names.")
    if len(name.encode()) > MAX_NAME:
        raise InvalidPath(f"A name has at most {MAX_NAME} bytes.")
    if _UNSAFE.search(name):
        raise InvalidPath("A name has a character that is not allowed.")
    if name[-1] in ". " or name[0] == " ":
        raise InvalidPath("A name does not begin with a space or end in one or a dot.")
    if _DEVICE.fullmatch(name):
        raise InvalidPath("This name is a device's on Windows.")
