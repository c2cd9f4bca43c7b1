"""What a source told is kept, compared and told on."""

import itertools
import threading

import pytest

from service.discovery.known import Known, NotHeard
from service.discovery.model import Endpoint, UnknownService
from tests.support.clock import Clock
from tests.support.discovery import Heard, endpoints


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def known(heard, clock):
    return Known(["shop"], observer=heard, clock=clock)


def test_service_nobody_named_is_unknown(known):
    """There is a difference between none of it and never heard of it."""
    assert known.endpoints("shop") == ()
    with pytest.raises(UnknownService, match="bank"):
        known.endpoints("bank")


def test_change_is_told_and_no_change_is_not(known, heard):
    """The tuple stays the same one until something in it is another."""
    known.tell("shop", endpoints(2))
    first = known.endpoints("shop")
    known.tell("shop", reversed(endpoints(2)))

    assert known.endpoints("shop") is first
    assert heard.told == [("changed", "shop", 0, 2)]


@pytest.mark.parametrize(
    "fields", [{"ready": False}, {"zone": "b"}, {"weight": 2.0}, {"terminating": True}]
)
def test_another_state_at_the_same_place_is_a_change(known, fields):
    """Endpoints are equal by place; what is known of them may still differ."""
    known.tell("shop", [Endpoint("10.0.0.1", 80)])
    known.tell("shop", [Endpoint("10.0.0.1", 80, **fields)])

    (found,) = known.endpoints("shop")
    assert {name: getattr(found, name) for name in fields} == fields


def test_failing_source_keeps_what_was_known(known, heard, clock):
    """An outage is told once as new, and its end; meanwhile the old is served."""
    known.tell("shop", endpoints(1))
    clock.now += 5
    known.fail("shop", "refused")
    known.fail("shop", "refused")
    during = (known.endpoints("shop"), known.age("shop"), known.failing("shop"))
    known.confirm("shop")

    assert during == (endpoints(1), 5.0, "refused")
    assert (known.age("shop"), known.failing("shop")) == (0.0, "")
    assert heard.told[1:] == [
        ("failed", "shop", "refused", True),
        ("failed", "shop", "refused", False),
        ("returned", "shop"),
    ]


def test_check_names_the_service_that_was_never_heard(known):
    """Ready means that each service was heard of once, an outage later is none."""
    with pytest.raises(NotHeard, match="shop"):
        known.check()
    known.fail("shop", "no route")
    with pytest.raises(NotHeard, match="no route"):
        known.check()
    known.tell("shop", ())
    known.fail("shop", "no route")

    known.check()


def test_forgotten_service_is_unknown(known, heard):
    """A service that is taken out takes its endpoints along."""
    known.tell("shop", endpoints(1))
    known.forget("shop")
    known.forget("shop")

    assert known.services == ()
    assert heard.told[-1] == ("changed", "shop", 1, 0)


def test_many_threads_tell_each_change_once(known, heard):
    """Ten threads that say the same are one change."""

    def tell():
        for count in range(50):
            known.tell("shop", endpoints(count % 5))
            known.fail("shop", "away")

    threads = [threading.Thread(target=tell) for _ in range(10)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    changes = [each for each in heard.told if each[0] == "changed"]
    assert all(after == one[2] for (*_, after), one in itertools.pairwise(changes))
