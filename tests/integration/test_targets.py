"""
Whom a request is for and what its path may be: hosts, probes, trusted proxies, dots,
slashes and bytes that servers read in different ways.
"""

import json

import pytest

from tests.support.attack import (
    assert_served,
    assert_unharmed,
    attacked,
)
from tests.support.raw_http import RawConnection, get, request
from tests.support.scrape import await_value, value


@pytest.fixture(scope="module")
def service():
    """A service for any host."""
    with attacked() as running:
        yield running
        assert_unharmed(running)


@pytest.fixture(scope="module")
def hosted():
    """A service that serves some hosts alone."""
    hosts = '["one.example", "*.two.example"]'
    with attacked(server__hosts=hosts) as running:
        yield running


@pytest.mark.parametrize(
    "host",
    [b"one.example", b"ONE.example:8080", b"a.two.example", b"a.b.two.example"],
)
def test_listed_host_is_served(hosted, host):
    """Case and port make no difference, a star is any subdomain."""
    assert_served(hosted, request(b"GET /hello HTTP/1.1", b"Host: " + host))


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"one.example.evil",
        b"evilone.example",
        b"two.example.evil",
        b"127.0.0.1",
        b"",
    ],
)
def test_foreign_host_is_421(hosted, host):
    """What is not listed is misdirected."""
    sent = request(b"GET /hello HTTP/1.1", b"Host: " + host)
    assert_misdirected(hosted, sent)


def assert_misdirected(hosted, sent: bytes) -> None:
    """421, in the metric of every answer, since a filter says it."""
    series = 'http_requests_total{method="GET",route="/hello",status="421"}'
    before = value(hosted, series)
    with RawConnection(hosted.ports["httpserver"]) as connection:
        connection.send(sent)
        answer = connection.answer()
    assert answer.status == 421, answer
    assert answer.headers["content-type"] == "application/problem+json"
    await_value(hosted, series, before + 1)


def test_host_of_an_absolute_target_beats_the_header(hosted):
    """A proxy's form of target: its host counts (RFC 9112 §3.2.2)."""
    good = b"GET http://one.example/hello HTTP/1.1"
    assert_served(hosted, request(good, b"Host: evil.example"))
    bad = b"GET http://evil.example/hello HTTP/1.1"
    assert_misdirected(hosted, request(bad, b"Host: one.example"))


@pytest.mark.parametrize("path", [b"/livez", b"/readyz", b"/startupz"])
@pytest.mark.parametrize("port", ["httpserver", "httpserver-admin"])
def test_probes_answer_for_any_host(hosted, path, port):
    """The kubelet asks by address."""
    with RawConnection(hosted.ports[port]) as connection:
        connection.send(request(b"GET " + path + b" HTTP/1.1", b"Host: 10.0.0.7:80"))

        assert connection.answer().status == 200


def test_forwarded_headers_of_an_untrusted_peer_are_ignored(service):
    """Anyone can write them."""
    headers = (b"X-Forwarded-For: 8.8.8.8", b"X-Forwarded-Proto: https")
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(get(b"/peer", *headers, b"Forwarded: for=8.8.8.8;proto=https"))
        answer = connection.answer()

    assert json.loads(answer.body) == {"client": "127.0.0.1", "scheme": "http"}
    assert "strict-transport-security" not in answer.headers


def test_forwarded_headers_of_a_trusted_proxy_are_believed():
    """The last address that is no trusted proxy is the client."""
    with attacked(server__trusted_proxies='["127.0.0.0/8"]') as running:
        headers = (
            b"X-Forwarded-For: 1.2.3.4, 8.8.8.8, 127.0.0.9",
            b"X-Forwarded-Proto: https",
        )
        with RawConnection(running.ports["httpserver"]) as connection:
            connection.send(get(b"/peer", *headers))
            answer = connection.answer()

    assert json.loads(answer.body) == {"client": "8.8.8.8", "scheme": "https"}


@pytest.mark.parametrize(
    "path",
    [
        b"/../hello",
        b"/./hello",
        b"/tree/../hello",
        b"/tree/..",
        b"/tree/.",
        b"/tree/%2e%2e/hello",
        b"/tree/%2E./hello",
        b"/tree/.%2e/hello",
        b"/tree/%2e/hello",
        b"/tree/a%2fb",
        b"/tree/a%2Fb",
        b"/tree/a%5cb",
        b"/tree/a\\b",
        b"/tree/a%00b",
        b"/hello%00",
        b"/tree/%ff%fe",
        b"/tree/%c0%ae%c0%ae/hello",
        b"/tree/%ed%a0%80",
        b"/tree/%zz",
        b"/tree/%2",
        b"/tree/%",
    ],
)
def test_path_that_could_mean_two_things_is_400(service, path):
    """Dot segments, encoded separators, NUL and what is not UTF-8 are refused."""
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(get(path))
        answer = connection.answer()

    assert answer.status == 400, answer
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        (b"/tree/a%20b", "a b"),
        (b"/tree/%E2%82%AC", "€"),
        (b"/tree/..a/b..", "..a/b.."),
        (b"/tree/...", "..."),
        (b"/tree/a%252fb", "a%2fb"),
        (b"/tree/a?x=../%2f%00", "a"),
        (b"//tree///a", "a"),
        (b"/tree/a//b", "a/b"),
    ],
)
def test_path_is_decoded_once_and_its_slashes_are_merged(service, path, rest):
    """What is plain stays as it is."""
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(get(path))
        answer = connection.answer()

    assert answer.status == 200, answer
    assert json.loads(answer.body) == {"rest": rest}


@pytest.mark.parametrize(
    "path", [b"//evil.example/", b"//evil.example//", b"/\\evil.example/"]
)
def test_no_path_redirects_to_another_site(service, path):
    """A browser takes `//host` of a Location for another host."""
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(get(path))
        answer = connection.answer()

    assert answer.status in (400, 404) or not answer.headers["location"].startswith(
        ("//", "/\\", "http")
    )
