"""
Path templates of routes, and their segments:

    users            static
    {id:[0-9]+}      pattern: a regular expression, or one of int, float, uuid
    {name}.json      pattern too: text around a parameter
    {id}             parameter: one segment, not empty
    {path:path}      wildcard: the rest of the path, slashes included; only at the end

Python's matcher goes back and tries again, which takes a time that doubles with each
character where a repeated part can be split in many ways, as in `(?:a+)+`. Paths come
from strangers, so a pattern must not repeat what repeats or leaves a choice.
"""

import re

__all__ = [
    "RouteTemplateError",
    "is_wildcard",
    "parameter",
    "pattern_of",
    "split_template",
]

_NAMED_PATTERNS = {
    "str": "[^/]+",
    "int": "[0-9]+",
    "float": r"[0-9]+(?:\.[0-9]+)?",
    "uuid": "[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}",
}
"""Starlette's convertors, which FastAPI's templates may name."""

_PARAM = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::((?:[^{}]|\{[^{}]*\})+))?\}")


class RouteTemplateError(ValueError):
    """A path template that can't be read."""


def split_template(template: str) -> list[str]:
    """Return the segments of *template*; a slash inside a pattern does not split."""
    if not template.startswith("/"):
        raise RouteTemplateError(f"{template!r} does not begin with a slash")
    segments, depth, start = [], 0, 1
    for index in range(1, len(template)):
        char = template[index]
        depth += {"{": 1, "}": -1}.get(char, 0)
        if char == "/" and depth == 0:
            segments.append(template[start:index])
            start = index + 1
    if depth:
        raise RouteTemplateError(f"{template}: a brace is not closed")
    return [*segments, template[start:]]


def is_wildcard(segment: str, names: list[str]) -> bool:
    """Return whether *segment* is the rest of the path; its name joins *names*."""
    match = _PARAM.fullmatch(segment)
    if match is None or match[2] != "path":
        return False
    names.append(match[1])
    return True


def parameter(segment: str) -> str | None:
    """Return the name of the parameter that *segment* is, or None."""
    match = _PARAM.fullmatch(segment)
    if match is None or match[2] not in (None, "str"):
        return None
    return match[1]


def pattern_of(segment: str, names: list[str], template: str) -> re.Pattern[str]:
    """
    Return the regular expression of a pattern segment, a group a parameter.

    Args:
        segment: Text with parameters in it.
        names: Gets the parameters' names.
        template: What is named when it can't be read.

    Raises:
        RouteTemplateError: It is no regular expression, has groups of its own, or may
            take a time that doubles with each character.
    """
    source, end = "", 0
    for match in _PARAM.finditer(segment):
        names.append(match[1])
        expression = match[2] or "str"
        if _may_explode(expression):
            raise RouteTemplateError(f"{template}: a pattern repeats what repeats")
        source += re.escape(segment[end : match.start()])
        source += f"({_NAMED_PATTERNS.get(expression, expression)})"
        end = match.end()
    try:
        pattern = re.compile(source + re.escape(segment[end:]))
    except re.error as error:
        raise RouteTemplateError(f"{template}: {error}") from None
    if pattern.groups != len(_PARAM.findall(segment)):
        raise RouteTemplateError(f"{template}: use (?:…) for groups in a pattern")
    return pattern


_TOKEN = re.compile(
    r"(?P<text>\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<open>\(\??[:=!]?)|(?P<close>\))"
    r"|(?P<again>[*+]|\{[0-9]*,[0-9]*\})|(?P<choice>\|)|."
)
"""What a regular expression is made of, as far as repeats and groups go."""


def _may_explode(expression: str) -> bool:
    """Whether a group that repeats holds a repeat or a choice."""
    loose = [False]  # for each open group, whether it can match in several ways
    closed = False  # whether the group that was just closed can
    for token in _TOKEN.finditer(expression):
        kind = token.lastgroup
        if kind == "again" and closed:
            return True
        closed = False
        match kind:
            case "open":
                loose.append(False)
            case "close" if len(loose) > 1:
                closed = loose.pop()
                loose[-1] |= closed
            case "again" | "choice":
                loose[-1] = True
            case _:
                pass
    return False
