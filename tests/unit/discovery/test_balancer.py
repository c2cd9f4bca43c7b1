"""The balancer gives each call an endpoint that is likely to answer it."""

import asyncio
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis.strategies import booleans, builds, integers, lists, sampled_from

from service.discovery.balancer import Balancer, Policy
from service.discovery.model import Endpoint, NoEndpoints, UnknownService
from service.discovery.outliers import OutlierLimits
from tests.support.clock import Clock
from tests.support.discovery import FakeRegistry, endpoints

WAYS = ("round_robin", "least_requests", "least_latency", "consistent_hash")


def balancer(registry, *, seed=1, **options):
    return Balancer(registry, chance=random.Random(seed), **options)


def one(number, **fields):
    return Endpoint(f"10.0.0.{number}", 80, **fields)


def fail(balancer, service="shop", times=1, error=ConnectionError):
    for _ in range(times):
        with pytest.raises(error), balancer.lease(service):
            raise error


def picked(balancer, *, times=200, service="shop", **options):
    return Counter(balancer.pick(service, **options).host for _ in range(times))


# -- who may be picked -------------------------------------------------------------


def test_unknown_service_is_told():
    """A service that the registry does not know is the caller's mistake."""
    with pytest.raises(UnknownService):
        balancer(FakeRegistry()).pick("shop")


def test_service_without_endpoints_is_told():
    """A service that has nothing to call says so, by pick and by lease."""
    empty = balancer(FakeRegistry(shop=(one(1, ready=False),)))

    with pytest.raises(NoEndpoints, match="shop"):
        empty.pick("shop")
    with pytest.raises(NoEndpoints):
        empty.lease("shop")


@pytest.mark.parametrize("way", WAYS)
def test_ready_endpoints_are_preferred_to_those_about_to_go(way):
    """One that is terminating gets nothing while another is ready."""
    registry = FakeRegistry(
        shop=(one(1), one(2, ready=False, terminating=True), one(3, ready=False))
    )

    assert picked(balancer(registry, policy=Policy(way=way))).keys() == {"10.0.0.1"}


def test_only_terminating_endpoints_that_serve_are_called():
    """When all are about to go, those that still answer get the calls."""
    registry = FakeRegistry(
        shop=(
            one(1, ready=False, terminating=True),
            one(2, ready=False, terminating=True, serving=False),
            one(3, ready=False),
        )
    )

    assert picked(balancer(registry)).keys() == {"10.0.0.1"}


def test_excluded_endpoint_is_taken_only_when_nothing_else_is_left():
    """A second attempt goes elsewhere; the third of two has to come back."""
    first, second = endpoints(2)
    shop = balancer(FakeRegistry(shop=(first, second)))

    assert picked(shop, exclude=[first]).keys() == {second.host}
    assert picked(shop, exclude={first, second}).keys() == {first.host, second.host}


def test_ejected_endpoint_is_taken_before_an_excluded_one():
    """What was not tried yet may be better than what this call has just tried."""
    first, second = endpoints(2)
    shop = balancer(
        FakeRegistry(shop=(first, second)),
        policy=Policy(way="consistent_hash", outliers=OutlierLimits(failures=1)),
    )
    key = next(k for k in map(str, range(99)) if shop.pick("shop", key=k) == first)
    with pytest.raises(ConnectionError), shop.lease("shop", key=key):
        raise ConnectionError

    assert picked(shop).keys() == {second.host}
    assert picked(shop, exclude=[second]).keys() == {first.host}


def test_lower_priority_is_called_only_when_the_first_is_out():
    """Endpoints of priority 10 wait until those of priority 0 fail."""
    shop = balancer(
        FakeRegistry(shop=(one(1, priority=10), one(2))),
        policy=Policy(outliers=OutlierLimits(failures=2)),
    )
    before = picked(shop)
    fail(shop, times=2)

    assert before.keys() == {"10.0.0.2"}
    assert picked(shop).keys() == {"10.0.0.1"}


@given(
    lists(
        builds(
            Endpoint,
            integers(1, 9).map(str),
            integers(80, 82),
            zone=sampled_from(["a", "b", ""]),
            ready=booleans(),
            terminating=booleans(),
            serving=booleans(),
            for_zones=sampled_from([(), ("a",), ("b", "a")]),
            priority=integers(0, 2),
            weight=sampled_from([0.5, 1.0, 3.0]),
        ),
        unique=True,
        max_size=12,
    ),
    sampled_from(WAYS),
    sampled_from(["", "a"]),
    sampled_from([0.0, 0.3, 2.0]),
    lists(integers(0, 11), max_size=12),
    integers(0, 6),
)
def test_pick_of_any_endpoints_is_one_that_answers(
    known, way, zone, share, excluded, failures
):
    """Whatever is known, pick gives an endpoint that answers, or says there is none."""
    policy = Policy(way=way, zone_share=share, outliers=OutlierLimits(failures=1))
    shop = balancer(FakeRegistry(shop=tuple(known)), zone=zone, policy=policy)
    exclude = [known[n] for n in excluded if n < len(known)]
    ready = {each for each in known if each.ready and not each.terminating}
    usable = ready or {each for each in known if each.terminating and each.serving}
    if not usable:
        with pytest.raises(NoEndpoints):
            shop.pick("shop", key="k", exclude=exclude)
        return
    fail(shop, times=failures)

    found = shop.pick("shop", key="k", exclude=exclude)

    assert found in usable
    assert found not in exclude or usable <= set(exclude)


# -- zones -------------------------------------------------------------------------


def test_own_zone_with_its_share_gets_all_calls():
    """Calls stay in the zone while it has enough endpoints."""
    registry = FakeRegistry(shop=(one(1, zone="a"), one(2, zone="b")))

    assert picked(balancer(registry, zone="a")).keys() == {"10.0.0.1"}


@pytest.mark.parametrize("zone", ["a", "c"])
def test_own_zone_without_its_share_is_not_overrun(zone):
    """One endpoint in four is too few, and none is none: calls go to all."""
    others = [one(n, zone="b") for n in range(2, 5)]
    registry = FakeRegistry(shop=(one(1, zone="a"), *others))

    assert len(picked(balancer(registry, zone=zone))) == 4


def test_zone_share_of_zero_without_own_endpoints_goes_elsewhere():
    """No share to reach does not mean that nobody is enough."""
    registry = FakeRegistry(shop=(one(1, zone="b"),))
    policy = Policy(zone_share=0.0)

    assert balancer(registry, zone="a", policy=policy).pick("shop").host == "10.0.0.1"


def test_hints_win_over_zones():
    """Endpoints that were assigned to the zone get its calls, wherever they are."""
    registry = FakeRegistry(
        shop=(one(1, zone="a", for_zones=("b",)), one(2, zone="b", for_zones=("a",)))
    )

    assert picked(balancer(registry, zone="a")).keys() == {"10.0.0.2"}
    assert len(picked(balancer(registry, zone="c"))) == 2


# -- what is learned ---------------------------------------------------------------


def test_failing_endpoint_is_left_out_and_comes_back():
    """Failures in a row eject one; after its time it is tried again."""
    clock = Clock()
    shop = balancer(
        FakeRegistry(shop=endpoints(2)),
        clock=clock,
        policy=Policy(outliers=OutlierLimits(failures=3, eject_for=2.0)),
    )
    bad = shop.pick("shop")
    tries = 0
    while shop.view("shop")[0].out_for == shop.view("shop")[1].out_for == 0:
        lease = shop.lease("shop")
        with lease as endpoint:
            if endpoint == bad:
                tries += 1
                lease.failed()
    while_out = picked(shop)
    clock.now += 2.1

    assert tries == 3
    assert bad.host not in while_out
    assert bad.host in picked(shop)


def test_answer_that_is_a_failure_counts_as_one():
    """A 503 raises nothing, and speaks against the endpoint when the caller says so."""
    shop = balancer(
        FakeRegistry(shop=endpoints(2)),
        policy=Policy(outliers=OutlierLimits(failures=1)),
    )
    lease = shop.lease("shop")
    with lease as endpoint:
        lease.failed()

    assert endpoint.host not in picked(shop)


def test_error_of_the_caller_speaks_against_nobody():
    """An error that is not the endpoint's fault ejects nobody, whoever decides it."""
    policy = Policy(outliers=OutlierLimits(failures=1))
    registry = FakeRegistry(shop=endpoints(2))
    shop = balancer(
        registry, policy=policy, is_failure=lambda error: isinstance(error, OSError)
    )
    fail(shop, error=KeyError)
    with (
        pytest.raises(ConnectionError),
        shop.lease("shop", is_failure=lambda _error: False),
    ):
        raise ConnectionError

    assert [each.out_for for each in shop.view("shop")] == [0, 0]


async def test_cancelled_call_speaks_against_nobody():
    """A caller that leaves takes its call along and leaves no trace."""
    shop = balancer(
        FakeRegistry(shop=endpoints(1)),
        policy=Policy(outliers=OutlierLimits(failures=1)),
    )
    began = asyncio.Event()

    async def call():
        with shop.lease("shop"):
            began.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(call())
    await began.wait()
    during = shop.view("shop")[0].in_flight
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert during == 1
    assert shop.view("shop")[0].in_flight == 0
    assert shop.view("shop")[0].out_for == 0


def test_services_do_not_forget_for_each_other():
    """A pick of one service leaves what another one has learned."""
    shop, bank = endpoints(2), (one(8), one(9))
    both = balancer(
        FakeRegistry(shop=shop, bank=bank),
        policy=Policy(outliers=OutlierLimits(failures=2)),
    )
    for _ in range(20):
        with both.lease("bank"):
            pass
        lease = both.lease("shop")
        with lease as endpoint:
            if endpoint == shop[0]:
                lease.failed()

    assert both.view("shop")[0].out_for > 0


def test_round_robin_of_services_in_turn_reaches_every_endpoint():
    """Calls of two services that alternate don't fall into step."""
    both = balancer(
        FakeRegistry(shop=endpoints(2), bank=endpoints(2)),
        policy=Policy(way="round_robin"),
    )
    seen = Counter()
    for _ in range(50):
        seen[both.pick("shop")] += 1
        both.pick("bank")

    assert sorted(seen.values()) == [25, 25]


def test_single_service_has_its_own_policy():
    """What is said of one service does not hold for the others."""
    both = balancer(
        FakeRegistry(shop=endpoints(4), bank=endpoints(4)),
        policies={"bank": Policy(way="consistent_hash")},
    )

    assert len(picked(both, key="k")) == 4
    assert len(picked(both, service="bank", key="k")) == 1


def test_endpoints_that_go_are_forgotten():
    """An address that is given to another instance later starts without a record."""
    registry = FakeRegistry(shop=endpoints(2))
    shop = balancer(registry, policy=Policy(outliers=OutlierLimits(failures=1)))
    fail(shop)
    registry.services["shop"] = endpoints(0)
    with pytest.raises(NoEndpoints):
        shop.pick("shop")
    registry.services["shop"] = endpoints(2)
    shop.pick("shop")

    assert all(each.out_for == each.latency == 0 for each in shop.view("shop"))


def test_view_before_any_call_shows_endpoints_at_rest():
    """What was never called is known and idle."""
    (seen,) = balancer(FakeRegistry(shop=endpoints(1))).view("shop")

    assert (seen.in_flight, seen.latency, seen.out_for) == (0, 0.0, 0.0)


def test_observer_is_told_of_picks_and_ejections():
    """Picks with and without an endpoint, and who is left out for how long."""
    told = []

    class Observer:
        def picked(self, service, *, found):
            told.append((service, found))

        def ejected(self, service, endpoint, seconds):
            told.append((service, endpoint.host, seconds))

    shop = balancer(
        FakeRegistry(shop=endpoints(1), bank=()),
        observer=Observer(),
        policy=Policy(outliers=OutlierLimits(failures=1, eject_for=2.5)),
    )
    fail(shop)
    with pytest.raises(NoEndpoints):
        shop.pick("bank")

    assert told == [("shop", True), ("shop", "10.0.0.1", 2.5), ("bank", False)]


# -- a crowd -----------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
async def test_thousand_tasks_leave_nothing_in_flight(way):
    """Success, error, cancellation: each call that began has ended in the count."""
    shop = balancer(FakeRegistry(shop=endpoints(5)), policy=Policy(way=way))
    chance = random.Random(7)

    async def call(number):
        with shop.lease("shop", key=str(number)):
            await asyncio.sleep(chance.random() / 100)
            if number % 3 == 0:
                raise ConnectionError

    tasks = [asyncio.create_task(call(n)) for n in range(1000)]
    await asyncio.sleep(0)
    most = sum(each.in_flight for each in shop.view("shop"))
    for each in tasks[::7]:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert most == 1000
    assert [each.in_flight for each in shop.view("shop")] == [0] * 5


async def test_endpoints_that_change_under_load_are_followed():
    """A thousand calls while instances come and go: none goes to one that is not there
    at that moment, and nothing stays in flight."""
    registry = FakeRegistry(shop=endpoints(5))
    shop = balancer(registry)
    chance = random.Random(3)

    async def call():
        with shop.lease("shop") as endpoint:
            assert endpoint in registry.services["shop"]
            await asyncio.sleep(0)

    for _ in range(100):
        registry.services["shop"] = tuple(chance.sample(endpoints(9), 4))
        await asyncio.gather(*(call() for _ in range(10)))

    assert sum(each.in_flight for each in shop.view("shop")) == 0


@pytest.mark.parametrize("way", ["least_requests", "least_latency"])
async def test_slow_endpoint_gets_few_calls(way):
    """An endpoint ten times as slow gets far less than its third."""
    slow, *fast = endpoints(3)
    shop = balancer(FakeRegistry(shop=(slow, *fast)), policy=Policy(way=way))
    seen = Counter()

    async def worker():
        for _ in range(25):
            with shop.lease("shop") as endpoint:
                seen[endpoint] += 1
                await asyncio.sleep(0.2 if endpoint == slow else 0.02)

    await asyncio.gather(*(worker() for _ in range(12)))

    assert seen.total() == 300
    assert seen[slow] < 60
