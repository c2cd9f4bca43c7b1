"""
The route tree: from method and path to what answers, in steps of the path's depth.

Each node stands for one path segment. A request walks down segment by segment; at each
node a static child beats the patterns, they beat a plain parameter, and that beats the
wildcard, with backtracking, so that `/users/me` wins over `/users/{id}` whatever came
first. How many routes there are does not matter to the walk.

Two routes that the tree could not tell apart are refused when the second is added.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar

from service.server.route_templates import (
    RouteTemplateError,
    is_wildcard,
    parameter,
    pattern_of,
    split_template,
)

__all__ = ["ANY", "Match", "RouteConflictError", "RouteTree"]

T = TypeVar("T")
E = TypeVar("E")

ANY = "*"
"""Method of an entry that answers every method, such as a mounted application."""

_NOTHING: Mapping[str, str] = MappingProxyType({})


class RouteConflictError(ValueError):
    """A route that the tree can't tell from one that is there."""


@dataclass(slots=True)
class _Entry(Generic[T]):
    """What answers at the end of a template, and the template's parameter names."""

    value: T
    template: str
    names: tuple[str, ...]


@dataclass(slots=True)
class _Node(Generic[T]):
    static: dict[str, "_Node[T]"] = field(default_factory=dict)
    patterns: "list[tuple[re.Pattern[str], _Node[T]]]" = field(default_factory=list)
    param: "_Node[T] | None" = None
    wildcard: dict[str, _Entry[T]] = field(default_factory=dict)
    entries: dict[str, _Entry[T]] = field(default_factory=dict)


class Match(NamedTuple, Generic[T]):
    """
    What the tree found.

    Attributes:
        value: What answers, or None when the path is there but not the method.
        template: Template of the route.
        params: Values of its parameters, in the template's order.
        allowed: Methods that the path answers, sorted, when *value* is None.
    """

    value: T | None
    template: str
    params: Mapping[str, str]
    allowed: tuple[str, ...] = ()


class RouteTree(Generic[T]):
    """
    Routes by path and method.

    Concurrency:
        Fill it before the first request; finding changes nothing.
    """

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._static: dict[str, dict[str, Match[T]]] = {}

    def add(self, method: str, template: str, value: T) -> None:
        """
        Add a route.

        Args:
            method: Upper-case method, or `*` for every method.
            template: Path template, beginning with a slash.
            value: What answers.

        Raises:
            RouteTemplateError: The template can't be read.
            RouteConflictError: A route of the same shape has the method already.
        """
        names: list[str] = []
        entries = self._entries(template, names)
        if len(set(names)) != len(names):
            raise RouteTemplateError(f"{template}: a parameter is named twice")
        other = entries.get(method)
        if other is not None:
            raise RouteConflictError(
                f"{method} {template} can't be told from {method} {other.template}"
            )
        entries[method] = _Entry(value, template, tuple(names))
        if not names:
            here = self._static.setdefault(template, {})
            here[method] = Match(value, template, _NOTHING)

    def find(self, method: str, path: str) -> Match[T] | None:
        """
        Return what answers *method* at *path*, or None when nothing is at the path.

        GET answers HEAD where there is no HEAD of its own. Where the best route of the
        path lacks the method, the next best that has it answers; where none has it,
        the match has no value and names the methods that the path allows.
        """
        here = self._static.get(path)
        if here is not None:
            match = here.get(method) or _select(here, method)
            if match is not None:
                return match
        search = _Search[T](method, path.split("/"), set())
        found = search.below(self._root, 1, ())
        if found is not None:
            entry, values = found
            params = dict(zip(entry.names, values, strict=True))
            return Match(entry.value, entry.template, params)
        return search.not_allowed()

    def __contains__(self, path: str) -> bool:
        """Whether some method answers at *path*."""
        return self.find("", path) is not None

    def __iter__(self) -> Iterator[tuple[str, str, T]]:
        """Yield (method, template, value) of each route, in no stated order."""
        todo = [self._root]
        while todo:
            node = todo.pop()
            for method, entry in (*node.entries.items(), *node.wildcard.items()):
                yield method, entry.template, entry.value
            todo.extend(node.static.values())
            todo.extend(child for _, child in node.patterns)
            if node.param is not None:
                todo.append(node.param)

    def _entries(self, template: str, names: list[str]) -> dict[str, _Entry[T]]:
        """Return the entries at *template*'s place, made when new; fill *names*."""
        segments = split_template(template)
        node = self._root
        for position, segment in enumerate(segments):
            if is_wildcard(segment, names):
                if position != len(segments) - 1:
                    raise RouteTemplateError(f"{template}: a wildcard must be last")
                return node.wildcard
            node = _child(node, segment, names, template)
        return node.entries


def _child(node: _Node[T], segment: str, names: list[str], template: str) -> _Node[T]:
    """Return the child of *node* for *segment*, made when new."""
    if "{" not in segment:
        return node.static.setdefault(segment, _Node())
    name = parameter(segment)
    if name is not None:
        names.append(name)
        if node.param is None:
            node.param = _Node()
        return node.param
    pattern = pattern_of(segment, names, template)
    for known, child in node.patterns:
        if known.pattern == pattern.pattern:
            return child
    child = _Node()
    node.patterns.append((pattern, child))
    return child


def _select(entries: dict[str, E], method: str) -> E | None:
    """Return the one of *entries* that answers *method*."""
    entry = entries.get(method)
    if entry is None and entries:
        entry = entries.get(ANY)
        if entry is None and method == "HEAD":
            entry = entries.get("GET")
    return entry


@dataclass(slots=True)
class _Search(Generic[T]):
    """One walk down the tree, and the methods seen at the path on the way."""

    method: str
    segments: list[str]
    allowed: set[str]

    def below(
        self, node: _Node[T], depth: int, values: tuple[str, ...]
    ) -> tuple[_Entry[T], tuple[str, ...]] | None:
        """Return the best entry below *node* that has the method, and the values."""
        if depth == len(self.segments):
            return self._here(node.entries, values)
        segment = self.segments[depth]
        child = node.static.get(segment)
        found = None if child is None else self.below(child, depth + 1, values)
        if found is None and node.patterns:
            found = self._patterns(node, depth, values)
        if found is None and node.param is not None and segment:
            found = self.below(node.param, depth + 1, (*values, segment))
        if found is None and node.wildcard:
            rest = "/".join(self.segments[depth:])
            found = self._here(node.wildcard, (*values, rest))
        return found

    def _patterns(
        self, node: _Node[T], depth: int, values: tuple[str, ...]
    ) -> tuple[_Entry[T], tuple[str, ...]] | None:
        for pattern, child in node.patterns:
            match = pattern.fullmatch(self.segments[depth])
            if match is not None:
                found = self.below(child, depth + 1, values + match.groups())
                if found is not None:
                    return found
        return None

    def _here(
        self, entries: dict[str, _Entry[T]], values: tuple[str, ...]
    ) -> tuple[_Entry[T], tuple[str, ...]] | None:
        entry = _select(entries, self.method)
        if entry is not None:
            return entry, values
        self.allowed.update(entries)
        return None

    def not_allowed(self) -> Match[T] | None:
        """Return the methods that the path answers, or None when nothing is there."""
        if not self.allowed:
            return None
        more = {"OPTIONS", "HEAD"} if "GET" in self.allowed else {"OPTIONS"}
        return Match(None, "", _NOTHING, tuple(sorted(self.allowed | more)))
