"""
Finding a route, by the number of routes: 5 rounds of 2,000 look-ups each in our tree
and in the search that Starlette's router does, in microseconds. Half of the routes are
static, half have a parameter; the path asked for is the last that was added, or none.
"""

import timeit
from collections.abc import Callable
from statistics import median

from starlette.routing import Match, Route, Router

from service.server.route_tree import RouteTree

ROUNDS = 5
CALLS = 2000


def templates(count: int) -> list[str]:
    """Return *count* templates of three segments, half of them with a parameter."""
    return [
        f"/api/things{i}/items" if i % 2 else f"/api/things{i}/{{id}}"
        for i in range(count)
    ]


def tree_find(count: int) -> Callable[[str], object]:
    """Return the look-up of our tree."""
    tree: RouteTree[int] = RouteTree()
    for number, template in enumerate(templates(count)):
        tree.add("GET", template, number)
    return lambda path: tree.find("GET", path)


def starlette_find(count: int) -> Callable[[str], object]:
    """Return the search of Starlette's router, as `Router.app` does it."""
    router = Router(
        [Route(each, endpoint=lambda _r: None) for each in templates(count)]
    )

    def find(path: str) -> object:
        scope = {"type": "http", "method": "GET", "path": path, "headers": []}
        for route in router.routes:
            match, child = route.matches(scope)
            if match is Match.FULL:
                return child
        return None

    return find


def main() -> None:
    """Print microseconds per look-up: minimum, median and maximum of the rounds."""
    print("| routes | path | tree µs (min/median/max) | Starlette µs | ratio |")
    print("|---|---|---|---|---|")
    for count in (10, 100, 1000):
        ours, theirs = tree_find(count), starlette_find(count)
        last = count - 1
        for name, path in (
            ("last static", f"/api/things{last}/items"),
            ("last parameter", f"/api/things{last - 1}/42"),
            ("none", "/api/nothing/here"),
        ):
            assert (ours(path) is None) == (theirs(path) is None)
            rounds = [(_time(ours, path), _time(theirs, path)) for _ in range(ROUNDS)]
            mine = sorted(each[0] for each in rounds)
            other = sorted(each[1] for each in rounds)
            print(
                f"| {count} | {name} | {_three(mine)} | {_three(other)} "
                f"| {median(other) / median(mine):.1f} x |"
            )


def _time(find: Callable[[str], object], path: str) -> float:
    return timeit.timeit(lambda: find(path), number=CALLS) / CALLS * 1e6


def _three(values: list[float]) -> str:
    return f"{values[0]:.2f} / {median(values):.2f} / {values[-1]:.2f}"
