"""A host is one or is not, and is served or is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.server.hosts import host_name, is_host, is_served

HOSTS = {
    "a": "a",
    "Example.COM": "example.com",
    "example.com.": "example.com",
    "example.com:80": "example.com",
    "example.com.:80": "example.com",
    "127.0.0.1:8080": "127.0.0.1",
    "[::1]": "[::1]",
    "[::1]:80": "[::1]",
    "[FE80::1]": "[fe80::1]",
    "a_b-c~d": "a_b-c~d",
}

NO_HOSTS = [
    "",
    " a",
    "a b",
    "a,b",
    "a/b",
    "u@a",
    "a:",
    "a:x",
    "a:123456",
    "a:80:80",
    "::1",
    "[::1",
    "[g]",
    "[::1]x",
    "a\n",
    "a\0",
    "a%41",
    "caf\xe9",
    "a?b",
    "a#b",
]


@pytest.mark.parametrize(("value", "name"), HOSTS.items())
def test_host_has_a_name(value, name):
    """Lower case, without the port and the root's dot."""
    assert is_host(value.encode())
    assert host_name(value) == name


@pytest.mark.parametrize("value", NO_HOSTS)
def test_what_is_no_host_is_told(value):
    """Lists, users, paths, controls and half addresses."""
    assert not is_host(value.encode("latin-1"))


@pytest.mark.parametrize(
    ("value", "patterns", "served"),
    [
        ("example.com", ["example.com"], True),
        ("EXAMPLE.com:8443", ["Example.com"], True),
        ("example.com.", ["example.com"], True),
        ("www.example.com", ["example.com"], False),
        ("badexample.com", ["example.com"], False),
        ("www.example.com", ["*.example.com"], True),
        ("a.b.Example.com:1", ["*.EXAMPLE.com"], True),
        ("example.com", ["*.example.com"], False),
        ("badexample.com", ["*.example.com"], False),
        ("example.com.evil.org", ["*.example.com", "example.com"], False),
        ("b", ["a", "b"], True),
        ("[::1]:80", ["[::1]"], True),
        ("a", [], False),
        ("", ["a"], False),
    ],
)
def test_host_is_served_by_its_patterns(value, patterns, served):
    """A name stands for itself, a star for all below it."""
    assert is_served(value, patterns) is served


@given(
    st.from_regex(r"[a-z0-9]+(\.[a-z0-9]+){0,3}", fullmatch=True), st.integers(0, 65535)
)
def test_port_and_case_change_nothing(name, port):
    """A client may write its host in many ways."""
    for value in (name, name.upper(), f"{name}:{port}", f"{name}.:{port}"):
        assert is_host(value.encode())
        assert is_served(value, [name])
