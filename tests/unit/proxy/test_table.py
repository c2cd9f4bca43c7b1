"""Routes by path and host."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.proxy.table import Table
from service.server.context import RequestContext
from service.server.routes import Route
from service.settings import ProxySettings

WORDS = st.lists(st.sampled_from(["a", "b", "ab"]), max_size=3)


def table(*routes):
    """A table whose routes are named by path and host."""
    given = [
        {"path": path, "host": host, "upstream": "http://up"} for path, host in routes
    ]
    settings = ProxySettings.model_validate({"routes": given})
    return Table(
        settings.routes,
        lambda each: Route(path=f"{each.host}{each.path}", handler=None),
    )


def find(routes, path, host="shop.example"):
    scope = {"method": "GET", "path": path, "headers": [(b"host", host.encode())]}
    route = routes.find(RequestContext(scope, None, None, body_limit=0))
    return route and route.path


@pytest.mark.parametrize(
    ("path", "host", "expected"),
    [
        ("/a", "x", "/a/"),
        ("/a/", "x", "/a/"),
        ("/ab", "x", "/"),
        ("/a/b/c", "x", "/a/b"),
        ("/a/c", "x", "/a/"),
        ("/a/c", "Shop.example:8080", "shop.example/a"),
        ("/a/c", "shop.example.", "shop.example/a"),
        ("/a/c", "shop.example.:80", "shop.example/a"),
        ("/a/c", "[::1]", "[::1]/a"),
        ("/a/c", "[::1]:80", "[::1]/a"),
        ("/", "x", "/"),
        ("*", "x", None),
    ],
)
def test_longest_path_wins_and_of_those_one_for_the_host(path, host, expected):
    """By whole segments."""
    routes = table(
        ("/", ""), ("/a/", ""), ("/a/b", ""), ("/a", "shop.example"), ("/a", "[::1]")
    )

    assert find(routes, path, host) == expected


def test_route_for_another_host_leaves_the_path_to_a_shorter_one():
    """It is as if it were not there."""
    assert find(table(("/a/b", "other"), ("/a", "")), "/a/b/c") == "/a"


@given(st.sets(WORDS.map(lambda each: "/" + "/".join(each))), WORDS)
def test_table_finds_what_a_look_at_each_route_finds(prefixes, words):
    """The longest of the prefixes that match."""
    path = "/" + "/".join(words)

    def below(prefix):
        return path == prefix or path.startswith(prefix.rstrip("/") + "/")

    expected = max(filter(below, prefixes), key=len, default=None)
    assert find(table(*((each, "") for each in prefixes)), path) == expected


def test_two_routes_of_one_path_and_host_are_refused():
    """Nobody could tell which of them is asked."""
    with pytest.raises(ValueError, match=r"routes\[1\] has the path and host"):
        table(("/a", ""), ("/a/", ""))
