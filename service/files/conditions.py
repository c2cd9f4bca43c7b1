"""
Conditions of a change on the version that is there (RFC 9110 §13).

They are kept as values, because the store asks them when it changes the file and not
before: between the two, another upload may have come.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from service.files.errors import PreconditionFailed

__all__ = ["ANY_VERSION", "Condition", "names", "tags"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """
    Which version must be there.

    Attributes:
        match: One of these strong tags must be there, `*` for any; None asks nothing.
        none_match: None of these tags may be there, `*` for any; None asks nothing.
        unmodified_since: The file must not be newer, in whole seconds since 1970; asked
            without `match` alone.
    """

    match: Sequence[str] | None = None
    none_match: Sequence[str] | None = None
    unmodified_since: int | None = None

    def check(self, etag: str | None, modified: float = 0.0) -> None:
        """
        Compare with what is there.

        Args:
            etag: Tag of the version; None when no file is there.
            modified: When it was stored, in seconds since 1970.

        Raises:
            PreconditionFailed: It is another than was meant.
        """
        if self.match is not None:
            failed = not names(self.match, etag, weak=False)
        elif self.unmodified_since is not None:
            failed = etag is None or int(modified) > self.unmodified_since
        else:
            failed = False
        if self.none_match is not None and names(self.none_match, etag, weak=True):
            failed = True
        if failed:
            raise PreconditionFailed


ANY_VERSION = Condition()
"""Asks nothing."""


def tags(header: str) -> tuple[str, ...]:
    """Return the tags that a header lists, as they are written."""
    return tuple(tag for each in header.split(",") if (tag := each.strip()))


def names(listed: Sequence[str], etag: str | None, *, weak: bool) -> bool:
    """
    Whether a list of tags names a version.

    Args:
        listed: The tags; `*` names whatever is there.
        etag: Strong tag of the version; None when none is there.
        weak: Whether a weak tag may name it too.
    """
    if etag is None:
        return False
    return any(
        tag == "*" or (tag.removeprefix("W/") if weak else tag) == etag
        for tag in listed
    )
