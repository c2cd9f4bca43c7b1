"""Addresses: IPv4 in IPv6's form is IPv4, whatever way it is written."""

import pytest

from service.server.addresses import unmapped


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:192.0.2.1",
        "::FFFF:192.0.2.1",
        "::ffff:c000:201",
        "0:0:0:0:0:ffff:c000:201",
    ],
)
def test_ipv4_in_the_form_of_ipv6_is_ipv4(address):
    """However it is written."""
    assert unmapped(address) == "192.0.2.1"


@pytest.mark.parametrize(
    "address",
    ["192.0.2.1", "2001:db8::1", "2001:db8::ffff:1", "fe80::ffff%eth0", "", "x:ffff"],
)
def test_any_other_text_is_left_as_it_is(address):
    """An address, or none."""
    assert unmapped(address) == address
