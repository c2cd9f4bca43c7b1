"""The route tree finds the best route, and refuses what it can't tell apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.server.route_templates import RouteTemplateError
from service.server.route_tree import RouteConflictError, RouteTree


def tree(*templates: str, method: str = "GET") -> RouteTree[str]:
    result: RouteTree[str] = RouteTree()
    for template in templates:
        result.add(method, template, template)
    return result


@pytest.mark.parametrize(
    ("path", "template", "params"),
    [
        ("/", "/", {}),
        ("/users/me", "/users/me", {}),
        ("/users/12", "/users/{id:[0-9]+}", {"id": "12"}),
        ("/users/ann", "/users/{name}", {"name": "ann"}),
        ("/users/ann/posts", "/users/{name}/posts", {"name": "ann"}),
        ("/users/12/posts", "/users/{name}/posts", {"name": "12"}),
        ("/users/a/b/c", "/users/{rest:path}", {"rest": "a/b/c"}),
        ("/users/", "/users/{rest:path}", {"rest": ""}),
        ("/data/x.json", "/data/{name}.json", {"name": "x"}),
        ("/data/7-8", "/data/{a:int}-{b:int}", {"a": "7", "b": "8"}),
        ("/v/2026-11", r"/v/{m:\d{4}-\d{2}}", {"m": "2026-11"}),
        ("/slash/a/b/end", "/slash/{p:a/b}/end", None),
    ],
)
def test_static_beats_pattern_beats_parameter_beats_wildcard(path, template, params):
    """Whatever the order of adding, the most specific route wins."""
    templates = [
        "/users/{rest:path}",
        "/users/{name}",
        "/users/{id:[0-9]+}",
        "/users/me",
        "/users/{name}/posts",
        "/",
        "/data/{name}.json",
        "/data/{a:int}-{b:int}",
        r"/v/{m:\d{4}-\d{2}}",
    ]
    for order in (templates, templates[::-1]):
        match = tree(*order).find("GET", path)

        if params is None:
            assert match is None
        else:
            assert (match.value, match.params) == (template, params)


def test_best_route_without_the_method_yields_to_the_next():
    """A static route that lacks the method does not hide a parameter that has it."""
    routes = tree("/a/b")
    routes.add("POST", "/a/{x}", "post")

    assert routes.find("POST", "/a/b").value == "post"
    assert routes.find("DELETE", "/a/b").allowed == ("GET", "HEAD", "OPTIONS", "POST")


def test_head_is_answered_by_get_and_own_head_wins():
    """HEAD needs no route of its own, and may have one."""
    routes = tree("/a")

    assert routes.find("HEAD", "/a").value == "/a"
    routes.add("HEAD", "/a", "head")
    assert routes.find("HEAD", "/a").value == "head"


def test_any_method_entry_answers_all():
    """A mounted application sees every method."""
    routes = tree("/m/{path:path}", method="*")

    assert routes.find("PROPFIND", "/m/x").params == {"path": "x"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/a", "/a"),
        ("/a/{x}", "/a/{y}"),
        ("/a/{x}", "/a/{y:str}"),
        ("/a/{x:int}", "/a/{y:[0-9]+}"),
        ("/a/{x:path}", "/a/{y:path}"),
    ],
)
def test_same_shape_is_refused(first, second):
    """Two routes that match the same paths are a mistake, told at the start."""
    with pytest.raises(RouteConflictError, match="can't be told from"):
        tree(first, second)


@pytest.mark.parametrize(
    "template",
    ["a", "", "/{a:path}/b", "/{a", "/{a}/{a}", "/{a:[}", "/{a:(x)(y)}", "/{a:(x)}"],
)
def test_malformed_template_is_refused(template):
    """A template that can't be read is told at the start."""
    with pytest.raises(RouteTemplateError):
        tree(template)


def test_nothing_at_the_path_is_none():
    """An unknown path, an empty segment and a missing leaf find nothing."""
    routes = tree("/a/{x}", "/a/{x}/b")

    for path in ("/", "/b", "/a", "/a/", "/a/x/c", "/a/x/b/", "", "a/x", "*"):
        assert routes.find("GET", path) is None


SEGMENT = st.sampled_from(["a", "b", "{p}", "{n:[0-9]+}"])


@given(st.lists(st.lists(SEGMENT, min_size=1, max_size=4), min_size=1, max_size=12))
def test_every_added_route_is_found_by_a_path_of_its_own(shapes):
    """No set of routes hides a route that could be told from the others."""
    routes: RouteTree[str] = RouteTree()
    for shape in {tuple(shape) for shape in shapes}:
        names = iter("qrstuvwx")
        template = "/" + "/".join(
            each.replace("p", next(names)).replace("n:", next(names) + ":")
            if "{" in each
            else each
            for each in shape
        )
        routes.add("GET", template, template)
    for _method, template, value in routes:
        path = "/".join(
            "zz" if s == "{" + s[1:-1] + "}" and ":" not in s else s
            for s in template.split("/")
        )
        path = "/".join("42" if ":" in s else s for s in path.split("/"))

        assert routes.find("GET", path).value == value


@given(st.text(max_size=40))
def test_any_path_is_looked_up_without_an_error(path):
    """No path raises."""
    tree("/", "/a/{x}", "/f/{p:path}", "/n/{i:int}").find("GET", path)


@pytest.mark.parametrize(
    "pattern",
    ["(?:a+)+", "(?:a|aa)*", "(?:[a-z]*x?){2,}", "(?:b(?:a*))+", "(?:a+b?)*c"],
)
def test_pattern_that_may_take_for_ever_is_refused(pattern):
    """One short path must not keep the service busy."""
    with pytest.raises(RouteTemplateError, match="repeats what repeats"):
        tree(f"/x/{{id:{pattern}}}")


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("[0-9]+", "12"),
        ("(?:v[0-9]|draft)", "v1"),
        ("(?:[0-9]{4}-){2}[a-z+*(|]+", "1234-5678-("),
        (r"\(\+\)+", "(+)))"),
        ("(?:ab)+", "abab"),
        (r"[]+(*]+x?", "]+x"),
        ("(?:a*)?", "aa"),
    ],
)
def test_pattern_without_repeated_repeats_is_taken(pattern, path):
    """Classes, escapes, choices and fixed counts are no danger."""
    match = tree(f"/x/{{id:{pattern}}}").find("GET", f"/x/{path}")

    assert match is not None
    assert match.params == {"id": path}


def test_long_segment_is_matched_in_one_pass():
    """A hundred thousand digits and a letter: no way but on."""
    routes = tree("/articles/{category}/{id:[0-9]+}")
    digits = "7" * 100_000

    assert routes.find("GET", f"/articles/news/{digits}").params["id"] == digits
    assert routes.find("GET", f"/articles/news/{digits}x") is None
