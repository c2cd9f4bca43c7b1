"""EndpointSlices are read as the API defines them."""

import pytest

from service.discovery.endpoint_slices import (
    PortUnclear,
    Target,
    endpoints_of,
    service_of,
)
from tests.support.api_server import slice_of

SHOP = Target(namespace="shops", service="shop")


def entry(host, **fields):
    return {"addresses": [host], **fields}


def read(*slices, port=None, family="any"):
    target = Target(namespace="shops", service="shop", port=port, family=family)
    return endpoints_of(slices, target)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (None, (True, True, False)),
        ({}, (True, True, False)),
        ({"ready": None}, (True, True, False)),
        ({"ready": False}, (False, False, False)),
        ({"ready": False, "serving": True, "terminating": True}, (False, True, True)),
        ({"ready": False, "serving": False, "terminating": True}, (False, False, True)),
        ({"ready": True, "serving": True, "terminating": False}, (True, True, False)),
    ],
    ids=str,
)
def test_conditions_mean_what_the_api_says(conditions, expected):
    """One that is missing is not unknown: the API says how to take it."""
    piece = slice_of("shop", "a", endpoints=[entry("10.0.0.1", conditions=conditions)])

    (found,) = read(piece)

    assert (found.ready, found.serving, found.terminating) == expected


def test_zone_and_hints_are_taken():
    """Where a pod runs, and whose calls it was assigned."""
    hints = {"forZones": [{"name": "a"}, {"name": "b"}]}
    piece = slice_of("s", "a", endpoints=[entry("10.0.0.1", zone="z", hints=hints)])

    (found,) = read(piece)

    assert (found.zone, found.for_zones) == ("z", ("a", "b"))


def test_address_in_two_slices_counts_once_and_ready():
    """While it moves from one slice to another, the ready one is right."""
    old = slice_of("s", "a", endpoints=[entry("10.0.0.1", conditions={"ready": False})])
    new = slice_of("s", "b", "10.0.0.1", "10.0.0.2")

    for slices in ((old, new), (new, old)):
        assert [each.ready for each in read(*slices)] == [True, True]


@pytest.mark.parametrize(
    ("family", "hosts"),
    [("any", {"10.0.0.1"}), ("ipv4", {"10.0.0.1"}), ("ipv6", {"fd00::1"})],
)
def test_service_of_both_families_is_not_counted_twice(family, hosts):
    """Each pod has an address of both; `any` takes the first family that has some."""
    four, six = (
        slice_of("s", "a", "10.0.0.1"),
        slice_of("s", "b", "fd00::1", kind="IPv6"),
    )

    assert {each.host for each in read(six, four, family=family)} == hosts


def test_only_family_there_is_is_taken():
    """A cluster of IPv6 alone has an empty IPv4 slice at most."""
    slices = slice_of("s", "a"), slice_of("s", "b", "fd00::1", kind="IPv6")

    assert {each.host for each in read(*slices)} == {"fd00::1"}


PORTS = [{"name": "http", "port": 8080}, {"name": "metrics", "port": 9090}]


@pytest.mark.parametrize(("port", "number"), [("metrics", 9090), (7070, 7070)])
def test_port_is_found_by_name_or_given_by_number(port, number):
    """Slices of one service may have other numbers for the same name."""
    piece = slice_of("s", "a", "10.0.0.1", ports=PORTS)

    assert [each.port for each in read(piece, port=port)] == [number]


def test_same_name_may_be_another_number_in_each_slice():
    """During a rollout old and new pods may have the port elsewhere."""
    old = slice_of("s", "a", "10.0.0.1")
    new = slice_of("s", "b", "10.0.0.2", ports=[{"name": "http", "port": 8081}])

    assert [str(e) for e in read(old, new, port="http")] == [
        "10.0.0.1:8080",
        "10.0.0.2:8081",
    ]


def test_slice_without_the_named_port_has_no_endpoints():
    """Pods that don't have that port can't be called on it."""
    assert read(slice_of("s", "a", "10.0.0.1"), port="grpc") == ()


@pytest.mark.parametrize("ports", [PORTS, [], None])
def test_port_that_is_not_clear_is_told(ports):
    """Several, or none, and nobody said which: no guess."""
    with pytest.raises(PortUnclear):
        read(slice_of("s", "a", "10.0.0.1", ports=ports))


@pytest.mark.parametrize("endpoints", [None, [], [{}], [{"addresses": []}], [None]])
def test_slice_without_addresses_is_nothing(endpoints):
    """A service without pods has slices too, without ports even."""
    assert read(slice_of("s", "a", endpoints=endpoints, ports=None)) == ()


@pytest.mark.parametrize("piece", [{}, {"metadata": None}, {"metadata": {}}])
def test_slice_of_no_service_has_no_name(piece):
    """Somebody may write slices by hand."""
    assert service_of(piece) == ""
    assert service_of(slice_of("shop", "a")) == "shop"
