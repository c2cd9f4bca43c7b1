"""What of the headers goes on, in both directions."""

import pytest

from service.proxy.headers import answer_headers, hops, request_headers
from service.server.context import RequestContext


def context(*headers, client="203.0.113.9", trusted=""):
    """A request with these headers."""
    scope = {
        "method": "GET",
        "path": "/x",
        "http_version": "1.1",
        "client": (client, 1),
        "headers": [(b"host", b"shop.example"), *headers],
    }
    ctx = RequestContext(scope, None, None, body_limit=0)
    ctx.request_id, ctx.trusted_peer = "r1", trusted
    return ctx


def sent(*headers, **fields):
    pairs = request_headers(context(*headers, **fields), host=b"up:80", via=b"edge")
    return [pair for pair in pairs if pair[0] not in (b"host", b"x-request-id")]


@pytest.mark.parametrize(
    "name",
    [
        b"connection",
        b"keep-alive",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-real-ip",
        b"x_forwarded_for",
        b"a_b",
    ],
)
def test_header_that_is_not_the_upstreams_is_left_out(name):
    """Those of one connection, those that forge an origin, those with underscores."""
    assert name not in dict(sent((name, b"value")))


def test_what_connection_names_is_left_out_wherever_it_stands():
    """In several headers, in any case, also what would be ours."""
    got = dict(
        sent(
            (b"connection", b"X-A , close"),
            (b"x-a", b"1"),
            (b"connection", b"x-b,via"),
            (b"x-b", b"2"),
            (b"x-c", b"3"),
        )
    )

    assert b"x-a" not in got
    assert b"x-b" not in got
    assert got[b"x-c"] == b"3"
    assert got[b"via"] == b"1.1 edge"


def test_addresses_of_ipv6_are_written_as_each_header_wants():
    """RFC 7239 §6 puts brackets and quotes around them."""
    got = dict(sent(client="2001:db8::1"))

    assert got[b"x-forwarded-for"] == b"2001:db8::1"
    assert got[b"forwarded"].startswith(b'for="[2001:db8::1]";host=shop.example')


def test_request_without_a_host_says_nothing_of_one():
    """HTTP/1.0 allows it."""
    ctx = context()
    ctx.scope["headers"] = []

    got = dict(request_headers(ctx, host=b"up:80", via=b"edge"))

    assert b"x-forwarded-host" not in got
    assert got[b"forwarded"] == b"for=203.0.113.9;proto=http"


def test_via_and_forwarded_of_a_trusted_proxy_are_added_to():
    """Ours stands last."""
    got = dict(
        sent(
            (b"via", b"1.0 a"),
            (b"via", b"1.1 b"),
            (b"x-forwarded-for", b"198.51.100.1"),
            (b"forwarded", b"for=198.51.100.1"),
            trusted="10.0.0.1",
        )
    )

    assert got[b"via"] == b"1.0 a, 1.1 b, 1.1 edge"
    assert got[b"x-forwarded-for"] == b"198.51.100.1, 10.0.0.1"
    assert got[b"forwarded"].startswith(b"for=198.51.100.1, for=10.0.0.1;")


def test_hops_are_counted_by_whole_names():
    """A name that contains ours is another."""
    via = [(b"via", b"1.1 edge, 1.1 edge2"), (b"via", b"HTTP/2 EDGE (comment)")]

    assert hops(via, b"edge") == 2
    assert hops([], b"edge") == 0


def test_answer_loses_what_is_the_connections_and_keeps_its_length():
    """Even if `Connection` names the length."""
    got = answer_headers(
        [
            (b"connection", b"content-length, x-a"),
            (b"x-a", b"1"),
            (b"content-length", b"2"),
            (b"set-cookie", b"a=b"),
            (b"set-cookie", b"c=d"),
            (b"trailer", b"x-t"),
        ],
        via=b"edge",
        local=None,
    )

    assert got == [
        (b"content-length", b"2"),
        (b"set-cookie", b"a=b"),
        (b"set-cookie", b"c=d"),
        (b"via", b"1.1 edge"),
    ]
