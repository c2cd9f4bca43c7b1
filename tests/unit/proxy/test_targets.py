"""Paths from the client's view to the upstream's, and back."""

import pytest

from service.proxy.targets import Target
from service.server.context import RequestContext
from service.server.targets import parse_target
from service.settings.proxy import ProxyRoute


def target(upstream="http://up:8080/base", path="/shop/", **fields):
    route = {"path": path, "upstream": upstream, "strip_prefix": True} | fields
    return Target(ProxyRoute.model_validate(route))


def asked(raw):
    """A request of this target, read as the listener reads it."""
    path, raw_path, query, _ = parse_target(raw)
    scope = {"method": "GET", "path": path, "raw_path": raw_path, "headers": []}
    scope["query_string"] = query
    return RequestContext(scope, None, None, body_limit=0)


@pytest.mark.parametrize(
    ("raw", "upstream", "strip", "expected"),
    [
        (b"/shop/a", "http://up", True, b"/a"),
        (b"/shop", "http://up", True, b"/"),
        (b"/shop/", "http://up/", True, b"/"),
        (b"/shop?x", "http://up/base", True, b"/base?x"),
        (b"/shop/a%2Cb;c", "http://up/base", True, b"/base/a%2Cb;c"),
        (b"/sh%6fp/a", "http://up", False, b"/shop/a"),
        (b"//shop///a//b", "http://up", False, b"/shop/a/b"),
        (b"/shop/\xc3\xa9?q=\xc3\xa9", "http://up", True, b"/%C3%A9?q=%C3%A9"),
        (b"/shop/a", "http://up/base", False, b"/base/shop/a"),
    ],
)
def test_target_for_the_upstream(raw, upstream, strip, expected):
    """The prefix makes way for the base; what is below stays as it came."""
    assert target(upstream, strip_prefix=strip).of(asked(raw)) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (b"location", b"/base/a", b"/shop/a"),
        (b"location", b"/base", b"/shop"),
        (b"location", b"/base?x", b"/shop?x"),
        (b"location", b"/based", b"/based"),
        (b"location", b"http://UP:8080/base/a#b", b"/shop/a#b"),
        (b"location", b"http://up:80801/base", b"http://up:80801/base"),
        (b"location", b"http://up:8080.evil/base", b"http://up:8080.evil/base"),
        (b"location", b"https://elsewhere/base", b"https://elsewhere/base"),
        (b"location", b"//up:8080/base", b"//up:8080/base"),
        (b"location", b"a/relative", b"a/relative"),
        (b"set-cookie", b"a=/base; Path=/base/x", b"a=/base; Path=/shop/x"),
        (b"set-cookie", b"a=b", b"a=b"),
        (b"x-other", b"/base/a", b"/base/a"),
    ],
)  # fmt: skip
def test_header_as_the_client_knows_it(name, value, expected):
    """Paths of the upstream become the route's; those of others stay."""
    assert target().back(name, value) == expected


@pytest.mark.parametrize(
    "upstream",
    [
        "ftp://up",
        "http://",
        "http://user@up",
        "http://up:0",
        "http://up:65536",
        "http://up/a?b",
        "http://up/a#b",
        "http://up/../x",
        "http://up/%2e",
        "http://up\r\nx: y",
        "service://up:80",
        "//up",
    ],
)
def test_upstream_that_is_no_plain_url_is_refused(upstream):
    """With the settings, before any request."""
    with pytest.raises(ValueError, match="upstream"):
        target(upstream)
