"""Cookies are written with their protections and read without a guess."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.server.cookies import cookie_header, read_cookies
from tests.support.asgi import client

PROTECTED = "a=b; HttpOnly; Path=/; SameSite=Lax"


@pytest.mark.parametrize(
    ("name", "options", "header"),
    [
        ("a", {"https": False}, PROTECTED),
        ("a", {"https": True}, f"{PROTECTED}; Secure"),
        ("__Host-a", {"https": False}, f"__Host-{PROTECTED}; Secure"),
        ("__secure-a", {"https": False}, f"__secure-{PROTECTED}; Secure"),
        (
            "a",
            {"https": True, "path": "/x", "max_age": 60, "same_site": "None"},
            "a=b; HttpOnly; Max-Age=60; Path=/x; SameSite=None; Secure",
        ),
        (
            "a",
            {"https": False, "http_only": False, "same_site": "Strict", "max_age": 0},
            "a=b; Max-Age=0; Path=/; SameSite=Strict",
        ),
    ],
)
def test_cookie_has_every_protection_the_connection_allows(name, options, header):
    """Secure over HTTPS and for the prefixes, HttpOnly, Lax and for all paths."""
    assert cookie_header(name, "b", **options) == header


@pytest.mark.parametrize(
    ("wrong", "options"),
    [
        ("name", {"name": ""}),
        ("name", {"name": "a b"}),
        ("name", {"name": "a=b"}),
        ("name", {"name": "a\r\nx: y"}),
        ("name", {"name": "ä"}),
        ("value", {"value": "b; Domain=evil.example"}),
        ("value", {"value": "b\r\nset-cookie: c=d"}),
        ("value", {"value": "a,b"}),
        ("value", {"value": '"b"'}),
        ("value", {"value": "b\x00"}),
        ("value", {"value": "ä"}),
        ("size", {"value": "b" * 4096}),
        ("path", {"path": "/; Domain=evil.example"}),
        ("path", {"path": "relative"}),
        ("path", {"path": "/\r\n"}),
        ("path", {"name": "__Host-a", "path": "/x"}),
        ("max_age", {"max_age": -1}),
        ("max_age", {"max_age": 401 * 86_400}),
        ("same_site", {"same_site": "None"}),
    ],
)
def test_what_can_not_stand_in_a_cookie_is_refused(wrong, options):
    """Nothing is quoted, cut or escaped; nothing can add a header or an attribute."""
    arguments = {"name": "a", "value": "b", "https": False} | options
    with pytest.raises(ValueError, match=f"^not a cookie: {wrong}$"):
        cookie_header(arguments.pop("name"), arguments.pop("value"), **arguments)


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        ("a=b; c=d", {"a": "b", "c": "d"}),
        ("a=b;c=d", {"a": "b", "c": "d"}),
        ("a=b=c", {"a": "b=c"}),
        ("a=", {"a": ""}),
        ("", {}),
        ("a", {}),
        ("=b", {}),
        ('a="b"', {}),
        ("a=b c; d=e", {"d": "e"}),
        ("a=b, c=d", {}),
        ("a=1; b=2; a=3", {"b": "2"}),
        ("a=1; a=1", {}),
        ("a=\xe4; A=b", {"A": "b"}),
    ],
)
def test_cookies_are_read_or_left_out(header, cookies):
    """What is malformed or there twice is not believed, the others are."""
    assert read_cookies(header) == cookies


@given(st.dictionaries(st.from_regex(r"\A[a-z!|~]{1,9}\Z"), st.text(max_size=20)))
def test_what_is_written_is_read_again(values):
    """A value is refused, or it comes back as it was."""
    pairs = {}
    for name, value in values.items():
        try:
            pairs[name] = cookie_header(name, value, https=True).partition(";")[0]
        except ValueError:
            continue

    assert read_cookies("; ".join(pairs.values())) == {
        name: values[name] for name in pairs
    }


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_handler_reads_and_writes_cookies(scheme):
    """The context has the request's cookies, and knows whether it came over HTTPS."""

    async def handler(ctx):
        ctx.set_cookie("seen", ctx.cookies.get("session", "none"))
        ctx.delete_cookie("old")
        return ctx.no_content()

    answer = await client(handler).get(
        f"{scheme}://test/", headers={"cookie": "session=s1; b=c"}
    )
    secure = "; Secure" if scheme == "https" else ""

    assert answer.headers.get_list("set-cookie") == [
        f"seen=s1; HttpOnly; Path=/; SameSite=Lax{secure}",
        f"old=; HttpOnly; Max-Age=0; Path=/; SameSite=Lax{secure}",
    ]


async def test_cookies_of_handler_and_filters_add_up():
    """A cookie that the answer brings along hides none that the context was given."""

    async def handler(ctx):
        ctx.set_cookie("a", "1")
        return ctx.write_text("hello", headers={"set-cookie": "b=2"})

    answer = await client(handler).get("/")

    assert [each[:3] for each in answer.headers.get_list("set-cookie")] == [
        "b=2",
        "a=1",
    ]
