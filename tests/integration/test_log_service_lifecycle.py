"""The log service's start and stop: what stops the first, what the second waits for."""

import asyncio
import signal
import subprocess
import sys

import grpc
import pytest

from service.log_api.errors import Reason
from service.log_api.v1 import log_pb2
from tests.support.log_service import (
    PORT,
    channel,
    failure_of,
    health_of,
    produced,
    reason_of,
    record,
    serving_log,
    stuck_consumer,
    values_of,
)
from tests.support.process import LIMIT


async def test_stop_tells_streams_and_finishes_what_is_in_flight(tmp_path):
    """SIGTERM: consumers and producers get a status to go on by, nothing is cut."""
    with serving_log(tmp_path) as service:
        async with channel(service.ports[PORT]) as stub:
            await produced(stub, b"0")
            consuming = stub.ConsumeStream(log_pb2.ConsumeStreamRequest())
            seen = list((await consuming.read()).records)
            producing = stub.ProduceStream()
            await producing.write(log_pb2.ProduceStreamRequest(records=[record(b"1")]))
            acknowledged = await producing.read()
            seen += (await consuming.read()).records
            service.signal(signal.SIGTERM)
            failures = [
                await asyncio.wait_for(failure_of(each.read()), LIMIT)
                for each in (consuming, producing)
            ]
        code = await asyncio.to_thread(service.await_exit)

    assert code == 0
    assert [reason_of(each) for each in failures] == [Reason.STOPPING] * 2
    assert {each.code() for each in failures} == {grpc.StatusCode.UNAVAILABLE}
    assert values_of(seen) == [b"0", b"1"]
    assert acknowledged.offset == 1
    assert not service.events("requests_cut")


async def test_drain_tells_the_health_first_and_takes_calls_until_the_stop(tmp_path):
    """During the drain delay the health says NOT_SERVING and calls still work."""
    with serving_log(tmp_path, server__drain_delay=6) as service:
        port = service.ports[PORT]
        service.signal(signal.SIGTERM)
        await asyncio.to_thread(service.await_event, "lifecycle", phase="draining")
        async with asyncio.timeout(LIMIT):
            while await health_of(port) != "NOT_SERVING":
                await asyncio.sleep(0.02)
        async with channel(port) as stub:
            offset = await produced(stub, b"late")
        code = await asyncio.to_thread(service.await_exit)

    assert offset == 0
    assert code == 0


async def test_consumer_that_reads_nothing_does_not_hold_up_the_stop(tmp_path):
    """It has been told, as well as can be; nothing of it is lost by the cut."""
    patient = {"server__grace_period": 100, "server__hard_limit": 120}
    with serving_log(tmp_path, **patient) as service:
        async with channel(service.ports[PORT]) as stub:
            call = await stuck_consumer(stub)
            service.signal(signal.SIGTERM)
            code = await asyncio.to_thread(service.await_exit)
            call.cancel()

    assert code == 0


async def test_second_service_on_the_same_log_says_why_it_does_not_start(tmp_path):
    """One writer: the other exits with a sentence, and the first one goes on."""
    with serving_log(tmp_path) as service:
        command = [sys.executable, "-m", "service", "serve", "--port", "0"]
        settings = {
            "log.format": "json",
            "server.admin.port": 0,
            "log_service.enabled": "true",
            "log_service.port": 0,
            "log_service.directory": tmp_path,
        }
        for name, value in settings.items():
            command += ["--set", f"{name}={value}"]
        second = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, timeout=LIMIT
        )
        async with channel(service.ports[PORT]) as stub:
            assert await produced(stub, b"first") == 0

    assert second.returncode == 1
    assert "another process writes to it" in second.stdout


async def test_taken_port_stops_the_start(tmp_path):
    """Two services never share a port without anybody's knowing."""
    with serving_log(tmp_path / "one") as service:
        port = service.ports[PORT]
        with (
            pytest.raises(AssertionError, match=f"listen on 127.0.0.1:{port}"),
            serving_log(tmp_path / "two", port=port),
        ):
            pass
