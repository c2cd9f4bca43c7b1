"""Calls whose client is closed while they last, or was before."""

import asyncio
import socket

import pytest

from service.commitlog.errors import (
    OutcomeUnknown,
)
from service.log_client.client import LogClient
from service.log_client.errors import ClientClosed
from tests.support.log_script import (
    LIMIT,
    ONE,
    hang,
    know,
    served,
    source,
)
from tests.support.programs import free_port
from tests.support.waiting import fulfilled


@pytest.mark.parametrize("retired", [False, True], ids=["in use", "retired"])
async def test_calls_under_way_are_told_when_their_client_is_closed(retired):
    """
    They are not cancelled as if their own task were; what was sent is in doubt.

    Also over channels that no other call takes, as with certificates of yesterday.
    """
    async with served(hang) as (server, log):
        calls = {
            "produce": log.produce(ONE),
            "stream": anext(log.produce_stream(source(b"x"))),
            "consume": log.consume(0),
            "follow": anext(log.follow(0)),
        }
        tasks = {name: asyncio.ensure_future(call) for name, call in calls.items()}
        await fulfilled(lambda: server.open == len(tasks))
        if retired:
            await log._calling._channels.keep([])
        await log.close()
        await asyncio.wait(tasks.values())
        found = {name: type(task.exception()) for name, task in tasks.items()}

    assert found == {
        "produce": OutcomeUnknown,
        "stream": OutcomeUnknown,
        "consume": ClientClosed,
        "follow": ClientClosed,
    }


@pytest.mark.parametrize("listening", [True, False], ids=["slow", "refused"])
async def test_calls_that_wait_for_a_connection_end_with_their_client(listening):
    """Nobody would end the connections that they made later."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1] if listening else free_port()
        log = LogClient(f"127.0.0.1:{port}")
        tasks = [
            asyncio.ensure_future(log.produce(ONE)),
            asyncio.ensure_future(anext(log.follow(0))),
        ]
        # until the first channel is there
        await fulfilled(lambda: log._calling._channels._links)
        await log.close()
        async with asyncio.timeout(LIMIT):
            await asyncio.wait(tasks)

    assert [type(task.exception()) for task in tasks] == [ClientClosed] * 2


async def test_client_that_was_closed_makes_no_calls():
    """A second use would leave a connection that nobody ends."""
    async with served(know) as (server, log):
        await log.close()
        with pytest.raises(ClientClosed):
            await log.offsets()

    assert not server.requests


async def test_cancelled_call_stays_cancelled_when_its_client_is_closed_too():
    """Whoever cancels a task waits for that."""
    async with served(hang) as (server, log):
        task = asyncio.ensure_future(log.produce(ONE))
        await fulfilled(lambda: server.open)
        task.cancel()
        await log.close()
        await asyncio.wait([task])

    assert task.cancelled()
