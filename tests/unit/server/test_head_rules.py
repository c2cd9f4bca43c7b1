"""Heads within the rules and the limits pass, all others are refused by name."""

import pytest

from service.server.head_rules import check_head, check_sizes, too_large, with_host
from service.server.limits import Limits
from service.server.refusals import Refusal

LIMITS = Limits(max_target_bytes=10, max_headers=3, max_header_bytes=20)


def test_head_at_its_limits_passes():
    """A limit is what is still granted."""
    check_sizes(10, 3, 20, LIMITS)


@pytest.mark.parametrize(
    ("sizes", "status", "reason"),
    [
        ((11, 3, 20), 414, "target_too_long"),
        ((10, 4, 20), 431, "too_many_headers"),
        ((10, 3, 21), 431, "headers_too_large"),
        ((11, 4, 21), 414, "target_too_long"),
    ],
)
def test_head_beyond_a_limit_is_refused(sizes, status, reason):
    """One more is too many; the target comes first."""
    with pytest.raises(Refusal) as caught:
        check_sizes(*sizes, LIMITS)

    assert (caught.value.status, caught.value.reason) == (status, reason)


@pytest.mark.parametrize("status", [414, 431])
def test_refusal_of_a_large_head_is_a_problem_document(status):
    """Complete, with its length, and the end of the connection."""
    head, _, body = too_large(status, "x").answer().partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-length: %d\r\n" % len(body) in head
    assert head.endswith(b"connection: close")


def test_header_lines_of_a_refusal_stay_apart_from_its_body():
    """Further headers are lines of the head."""
    answer = Refusal(503, "x", "Later.", b"retry-after: 1").answer()

    assert b"\r\nretry-after: 1\r\n\r\n{" in answer


@pytest.mark.parametrize(
    ("version", "hosts", "watched"),
    [
        ("1.1", 1, {b"host": b"a:80"}),
        ("1.1", 1, {b"host": b""}),
        ("1.0", 0, {}),
        ("1.0", 1, {b"host": b"a"}),
        ("1.1", 1, {b"host": b"a", b"transfer-encoding": b"chunked"}),
        ("1.1", 1, {b"host": b"a", b"transfer-encoding": b"Chunked"}),
        ("1.1", 1, {b"host": b"a", b"content-length": b"5"}),
        ("1.1", 1, {b"host": b"a", b"content-length": b"5".zfill(20)}),
    ],
)
def test_head_within_the_rules_passes(version, hosts, watched):
    """RFC 9112 grants an empty host, and HTTP/1.0 none."""
    check_head(version, b"GET", hosts, watched)


A = {b"host": b"a"}


@pytest.mark.parametrize(
    ("version", "method", "hosts", "watched", "reason"),
    [
        ("0.9", b"GET", 1, A, "bad_version"),
        ("1.2", b"GET", 1, A, "bad_version"),
        ("2.0", b"GET", 1, A, "bad_version"),
        ("1.1", b"GET", 0, {}, "bad_host"),
        ("1.1", b"GET", 2, A, "bad_host"),
        ("1.0", b"GET", 2, A, "bad_host"),
        ("1.1", b"GET", 1, {b"host": b"a,b"}, "bad_host"),
        ("1.0", b"GET", 1, {b"host": b"a/b"}, "bad_host"),
        ("1.1", b"CONNECT", 1, A, "bad_request"),
        ("1.1", b"POST", 1, {**A, b"transfer-encoding": b"gzip"}, "bad_request"),
        ("1.1", b"POST", 1, {**A, b"transfer-encoding": b"x, chunked"}, "bad_request"),
        ("1.1", b"POST", 1, {**A, b"transfer-encoding": b""}, "bad_request"),
        ("1.0", b"POST", 1, {**A, b"transfer-encoding": b"chunked"}, "bad_request"),
        ("1.1", b"POST", 1, {**A, b"content-length": b"5".zfill(21)}, "bad_request"),
        ("1.1", b"POST", 1, {**A, b"content-length": b"5, 5"}, "bad_request"),
        ("1.1", b"POST", 1, {**A, b"content-length": b"5 "}, "bad_request"),
        ("1.1", b"POST", 1, {**A, b"content-length": b"+5"}, "bad_request"),
        ("1.1", b"POST", 1, {**A, b"content-length": b"\xb2"}, "bad_request"),
        ("1.1", b"POST", 1, {**A, b"content-length": b""}, "bad_request"),
    ],
)
def test_head_that_breaks_a_rule_is_refused(version, method, hosts, watched, reason):
    """The reason is the metric's label."""
    with pytest.raises(Refusal) as caught:
        check_head(version, method, hosts, watched)

    assert caught.value.reason == reason
    assert caught.value.status == (505 if reason == "bad_version" else 400)


def test_host_of_the_target_takes_the_place_of_the_header():
    """RFC 9112 §3.2.2."""
    headers = [(b"x", b"1"), (b"host", b"a"), (b"y", b"2")]

    assert with_host(headers, b"b:1") == [(b"host", b"b:1"), (b"x", b"1"), (b"y", b"2")]


@pytest.mark.parametrize("authority", [b"", b"u@b", b"a b", b"b:x"])
def test_target_with_a_host_that_is_none_is_refused(authority):
    """A user is no part of a host."""
    with pytest.raises(Refusal, match="host"):
        with_host([], authority)
