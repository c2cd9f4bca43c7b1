"""Who gets a flag that is on: users by name, routes, a share of all."""

import hashlib

from service.settings import FlagRule

__all__ = ["applies", "share"]

_SPACE = 1 << 32


def applies(rule: FlagRule, flag: str, *, key: str, route: str, user: str) -> bool:
    """
    Whether *rule* lets somebody have *flag*.

    Args:
        rule: The rule.
        flag: Name of the flag, so that the same ten percent are not the first to get
            every one.
        key: Who asks; the same key gets the same answer in every process.
        route: Template of the route, empty when there is none.
        user: Name of the user, empty when nobody knows.
    """
    if user and user in rule.users:
        return True
    if rule.routes and route not in rule.routes:
        return False
    return share(flag, key) < rule.percentage


def share(flag: str, key: str) -> float:
    """Return where *key* stands among all for *flag*: 0.0 to below 100.0, evenly."""
    text = f"{flag}\0{key}".encode("utf-8", "replace")
    digest = hashlib.blake2b(text, digest_size=4).digest()
    return int.from_bytes(digest) * 100.0 / _SPACE
