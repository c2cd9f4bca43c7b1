"""Calls of a server that does what each test wants, wrong things too."""

import grpc
import pytest

from service.commitlog.errors import (
    LogUnreachable,
    OutcomeUnknown,
    RecordTooLarge,
    WritesRefused,
)
from service.discovery.balancer import Balancer, Policy
from service.discovery.model import Endpoint
from service.log_api.errors import CallRefused, Reason
from service.log_api.v1 import log_pb2
from service.log_client.channels import Channels
from service.log_client.client import LogClient
from service.log_client.errors import CallFailed
from service.log_client.options import ChannelOptions
from service.log_client.targets import FixedEndpoints
from service.resilience.retry import RetryBudget
from tests.support.log_script import (
    ONE,
    UNAVAILABLE,
    acknowledge,
    cut,
    hang,
    know,
    refused,
    served,
)
from tests.support.programs import free_port
from tests.support.waiting import fulfilled


@pytest.mark.parametrize("code", [UNAVAILABLE, grpc.StatusCode.INTERNAL])
async def test_produce_that_was_cut_is_in_doubt_and_sent_once(code):
    """Whatever the network calls it."""
    async with served(cut(code)) as (server, log):
        with pytest.raises(OutcomeUnknown):
            await log.produce(ONE)

    assert len(server.requests) == 1


async def test_produce_without_an_answer_in_time_is_in_doubt():
    """The deadline ends it, and says so."""
    async with served(hang, deadline=0.3) as (server, log):
        with pytest.raises(OutcomeUnknown, match=r"0\.3 s|DEADLINE"):
            await log.produce(ONE)
        await fulfilled(lambda: server.open == 0)

    assert len(server.requests) == 1


async def test_consume_without_an_answer_in_time_is_not_in_doubt():
    """Nothing is stored by it."""
    async with served(hang, deadline=0.3) as (_, log):
        with pytest.raises(LogUnreachable):
            await log.offsets()


@pytest.mark.parametrize(
    "reason",
    [Reason.STOPPING, Reason.RATE_LIMITED, Reason.TOO_MANY_CALLS],
)
async def test_refusal_that_passes_is_tried_again(reason):
    """Nothing was stored, so the same is sent again."""
    steps = (refused(CallRefused(reason)), acknowledge)
    async with served(*steps) as (server, log):
        offset = await log.produce(ONE)

    assert (offset, len(server.requests)) == (7, 2)


async def test_refusal_that_does_not_pass_is_told_at_once():
    """As the service raised it; one that leaves doubt is that."""
    failures = {
        WritesRefused("disk"): WritesRefused,
        OutcomeUnknown("late"): OutcomeUnknown,
        CallRefused(Reason.INTERNAL): OutcomeUnknown,
        CallRefused(Reason.TIMED_OUT): OutcomeUnknown,
        CallRefused(Reason.PERMISSION_DENIED): CallRefused,
        RecordTooLarge("big"): RecordTooLarge,
    }
    for failure, kind in failures.items():
        async with served(refused(failure)) as (server, log):
            with pytest.raises(kind) as caught:
                await log.produce(ONE)

        assert type(caught.value) is kind
        assert len(server.requests) == 1


async def test_status_that_is_none_of_the_service_is_told_with_its_code():
    """A server that is no log service, and a message over its limit."""
    async with served(cut(grpc.StatusCode.UNIMPLEMENTED)) as (_, log):
        with pytest.raises(CallFailed, match="UNIMPLEMENTED"):
            await log.offsets()
    async with served(cut(grpc.StatusCode.RESOURCE_EXHAUSTED)) as (_, log):
        with pytest.raises(RecordTooLarge):
            await log.produce(ONE)


async def test_doubt_of_an_earlier_attempt_stays():
    """Sent again as told: that the last attempt stored nothing says little."""
    steps = (cut(), refused(CallRefused(Reason.PERMISSION_DENIED)))
    async with served(*steps, if_unknown="again") as (server, log):
        with pytest.raises(OutcomeUnknown):
            await log.produce(ONE)

    assert len(server.requests) == 2


async def test_overrun_service_gets_no_more_than_the_budget():
    """Its refusals are not answered by more calls; that it is away costs nothing."""
    busy = refused(CallRefused(Reason.TOO_MANY_CALLS))
    async with served(busy, budget=RetryBudget(0.0, burst=2.0)) as (server, log):
        with pytest.raises(CallRefused):
            await log.offsets()
        assert len(server.requests) == 3
    gone = [cut()] * 4
    async with served(*gone, know, budget=RetryBudget(0.0, burst=0.0)) as (_, log):
        assert await log.offsets() == (3, 9)


async def test_attempts_end_where_they_are_told_to():
    """The last failure is told."""
    async with served(cut(), attempts=3) as (server, log):
        with pytest.raises(LogUnreachable):
            await log.offsets()

    assert len(server.requests) == 3


async def test_second_endpoint_is_called_when_the_first_is_not_there():
    """Within the same call, whatever way of choosing: who was tried is left out."""
    ways = ["least_requests", "round_robin"] * 8
    async with served(acknowledge) as (server, _):
        endpoints = (Endpoint("127.0.0.1", free_port()), server.endpoint)
        for way in ways:
            balancer = Balancer(FixedEndpoints(endpoints), policy=Policy(way=way))
            async with LogClient("service://log", balancer=balancer, attempts=2) as log:
                assert await log.produce(ONE) == 7

    assert len(server.requests) == len(ways)


async def test_endpoint_that_is_gone_loses_its_channel_with_the_last_call():
    """A call under way goes on over it."""
    request = log_pb2.GetOffsetsRequest()
    channels = Channels(ChannelOptions())
    async with served(know) as (server, _):
        async with channels.stub(server.endpoint) as stub:
            await channels.keep([])
            answer = await stub.GetOffsets(request)
        with pytest.raises(grpc.aio.UsageError, match="closed"):
            await stub.GetOffsets(request)
        async with channels.stub(server.endpoint) as fresh:
            await fresh.GetOffsets(request)
        await channels.close()

    assert answer.next == 9
