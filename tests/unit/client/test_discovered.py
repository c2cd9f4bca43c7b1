"""Calls of services that discovery knows."""

import httpx2
import pytest

from service.client.errors import InvalidRequest, UpstreamUnavailable
from service.discovery.balancer import Balancer, Policy
from service.discovery.model import Endpoint, UnknownService
from service.discovery.outliers import OutlierLimits
from tests.support.upstream import Answers, client_of

URL = "service://catalogue/products?page=2"
HOSTS = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


class Known:
    """A registry of one service."""

    def __init__(self, *hosts):
        self._endpoints = tuple(Endpoint(host, 8080) for host in hosts)

    def endpoints(self, service):
        if service != "catalogue":
            raise UnknownService(service)
        return self._endpoints


def balanced(*hosts, **limits):
    policy = Policy(way="round_robin", outliers=OutlierLimits(**limits))
    hashed = Policy(way="consistent_hash", outliers=OutlierLimits(failures=0))
    return Balancer(Known(*hosts), policy=policy if limits else hashed)


async def test_service_is_called_at_one_of_its_endpoints():
    """By its address, under its name."""
    answers = Answers(200)
    client, _ = client_of(answers, balancer=balanced("10.0.0.1"))
    answer = await client.request("GET", URL)
    request = answers.requests[0]

    assert str(request.url) == "http://10.0.0.1:8080/products?page=2"
    assert request.headers["host"] == "catalogue"
    assert (answer.upstream, answer.url) == ("catalogue", str(request.url))


@pytest.mark.parametrize("failure", [httpx2.ConnectError, 503])
@pytest.mark.parametrize("way", ["request", "stream"])
async def test_retry_goes_to_an_endpoint_that_was_not_tried(failure, way):
    """Until each has failed once."""
    answers = Answers(failure, failure, 200)
    client, _ = client_of(answers, balancer=balanced(*HOSTS))
    if way == "request":
        await client.request("GET", URL, key="always the same")
    else:
        async with client.stream("GET", URL, key="always the same") as answer:
            assert answer.status == 200

    assert sorted(answers.hosts) == HOSTS


async def test_endpoint_that_keeps_failing_is_left_out():
    """The balancer hears of it by the lease."""
    balancer = balanced(*HOSTS, failures=1, eject_for=60)
    bad = HOSTS[1]

    async def judge(request):
        return 500 if request.url.host == bad else 200

    answers = Answers(judge)
    client, _ = client_of(answers, balancer=balancer, breaker=False)
    statuses = [(await client.request("GET", URL)).status for _ in range(30)]

    assert statuses.count(500) == 1
    assert answers.hosts.count(bad) == 1


@pytest.mark.parametrize("status", [404, 429])
async def test_answer_that_is_the_callers_fault_costs_no_endpoint_its_place(status):
    """Nobody is left out."""
    balancer = balanced(*HOSTS, failures=1)
    client, _ = client_of(Answers(status), balancer=balancer, attempts=1)
    for _ in range(3):
        await client.request("GET", URL)

    assert [each.out_for for each in balancer.view("catalogue")] == [0, 0, 0]


async def test_endpoint_is_busy_until_the_stream_is_read():
    """And what the caller does with it is not its fault."""
    balancer = balanced("10.0.0.1", failures=1)
    client, _ = client_of(Answers(200), balancer=balancer)
    busy = []

    async def stumble():
        async with client.stream("GET", URL):
            busy.append(balancer.view("catalogue")[0].in_flight)
            raise KeyError

    with pytest.raises(KeyError):
        await stumble()
    view = balancer.view("catalogue")[0]

    assert busy == [1]
    assert (view.in_flight, view.out_for) == (0, 0)


@pytest.mark.parametrize(
    ("url", "reason"),
    [("service://catalogue/", "no_endpoints"), ("service://x/", "unknown_service")],
)
async def test_service_that_nobody_serves_is_told_as_such(url, reason):
    """At once, without another attempt."""
    client, value = client_of(Answers(200), balancer=balanced())
    with pytest.raises(UpstreamUnavailable) as caught:
        await client.request("GET", url)

    assert caught.value.reason == reason
    assert (
        value("retries_total", service=caught.value.service, result="retried") is None
    )


async def test_service_without_discovery_can_not_be_called():
    """The error tells what is missing."""
    client, _ = client_of(Answers(200))
    with pytest.raises(InvalidRequest, match="discovery"):
        await client.request("GET", URL)
