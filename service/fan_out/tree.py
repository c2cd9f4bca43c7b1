"""
The tree of calls, as JSON tells it.

    {
      "name": "httpserver", "host": "pod-1", "version": "1.0.0",   who answered
      "url": "http://other:8080/fan-out",      whom the caller called; the root has none
      "status": 200,                           absent where no answer came
      "error": "timeout",                      a word, where something went wrong
      "start": 0.001,                          seconds after the caller began
      "duration": 0.034,                       seconds, as the caller saw it
      "own_duration": 0.031,                   seconds, as it saw itself
      "children": [...]                        whom it called
    }

`error` is `status` for an answer of 400 and above, `hops` where nobody was called
because the tree is deep enough, or the client's word for why no answer came.
"""

from typing import Any

__all__ = ["Node", "all_failed", "failed", "grafted"]

Node = dict[str, Any]

MAX_NODES = 2000
"""Nodes that are taken from the answer of a callee."""

MAX_DEPTH = 32
"""Levels that are taken from it: more than calls can have, few enough to be written."""

MAX_TEXT = 200
"""Characters of a text that are taken from it."""

MOST = 2**53
"""What the numbers that are taken are below: above, not all readers tell them apart."""

_TEXTS = ("name", "host", "version", "url", "error")
_NUMBERS = ("status", "start", "duration", "own_duration")

SKIPPED = "hops"


def failed(node: Node) -> bool:
    """Whether something went wrong; a call that was left out went not wrong."""
    return bool(node.get("error", SKIPPED) != SKIPPED)


def all_failed(children: list[Node]) -> bool:
    """Whether there were calls, and nothing came of any."""
    return bool(children) and all(failed(each) for each in children)


def grafted(answer: object) -> Node:
    """Return what *answer*, whoever made it, tells of itself and those below it."""
    return _graft(answer, [MAX_NODES], depth=1)


def _graft(answer: object, room: list[int], *, depth: int) -> Node:
    if not isinstance(answer, dict):
        return {}
    room[0] -= 1
    texts = {name: _text(answer[name]) for name in _TEXTS if _is_text(answer, name)}
    numbers = {name: answer[name] for name in _NUMBERS if _is_number(answer, name)}
    children = answer.get("children")
    below = [
        _graft(each, room, depth=depth + 1)
        for each in (children if isinstance(children, list) else ())
        if room[0] > 0 and depth < MAX_DEPTH and isinstance(each, dict)
    ]
    return texts | numbers | {"children": below}


def _text(value: str) -> str:
    # half a surrogate pair, which JSON can name, has no form in UTF-8
    return value[:MAX_TEXT].encode(errors="replace").decode()


def _is_text(answer: dict[str, Any], name: str) -> bool:
    return isinstance(answer.get(name), str)


def _is_number(answer: dict[str, Any], name: str) -> bool:
    value = answer.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -MOST < value < MOST  # which NaN is not
