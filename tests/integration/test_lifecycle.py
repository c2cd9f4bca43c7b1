"""Start and stop of the real process: nothing is lost, and the exit code tells."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from datetime import UTC, datetime

import httpx2
import pytest

from service.server.listener import LINGER
from tests.support.process import LIMIT, ServiceProcess, serving

QUICK = {"server__drain_delay": 0.3, "server__grace_period": 20}


PATIENT = {
    "server__drain_delay": 40,
    "server__grace_period": 40,
    "server__hard_limit": 90,
}


async def fetch(client: httpx2.AsyncClient, url: str) -> httpx2.Response:
    return await client.get(url)


async def in_flight(
    client: httpx2.AsyncClient, service: ServiceProcess, count: int
) -> None:
    """Wait until the service answers so many requests at once."""
    wanted = f"http_requests_in_flight {count}.0"
    async with asyncio.timeout(LIMIT):
        while wanted not in (await client.get(f"{service.admin_url}/metrics")).text:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_fifty_requests_in_flight_are_answered_and_exit_is_clean(number):
    """A signal during work loses nothing and exits 0, each phase logged."""
    with serving(**QUICK) as service:
        limits = httpx2.Limits(max_connections=60)
        async with httpx2.AsyncClient(limits=limits) as client:
            requests = [
                asyncio.create_task(fetch(client, f"{service.url}/delay/3"))
                for _ in range(50)
            ]
            await in_flight(client, service, 50)
            service.signal(number)
            answers = await asyncio.gather(*requests)
        code = service.await_exit()

    assert [answer.status_code for answer in answers] == [200] * 50
    assert {answer.headers["connection"] for answer in answers} == {"close"}
    assert code == 0
    phases = [line["phase"] for line in service.events("lifecycle")]
    assert phases == ["starting", "ready", "draining", "stopping", "stopped"]


async def test_draining_is_unready_alive_and_still_accepting():
    """From the signal on readiness is 503, liveness 200, and requests are answered."""
    with serving(server__drain_delay=3, server__grace_period=5) as service:
        async with httpx2.AsyncClient() as client:
            before = await client.get(f"{service.admin_url}/readyz")
            service.signal(signal.SIGTERM)
            service.await_event("lifecycle", phase="draining")
            ready = await client.get(f"{service.admin_url}/readyz")
            live = await client.get(f"{service.admin_url}/livez")
            hello = await client.get(f"{service.url}/hello")
        assert service.await_exit() == 0

    assert (before.status_code, ready.status_code, live.status_code) == (200, 503, 200)
    assert ready.json()["phase"] == "draining"
    assert (hello.status_code, hello.headers["connection"]) == (200, "close")


@pytest.mark.parametrize(
    ("second", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)]
)
async def test_second_signal_forces_the_exit(second, code):
    """Whoever signals twice means it: gone within moments, and the code says so."""
    with serving(**PATIENT) as service:
        async with httpx2.AsyncClient() as client:
            request = asyncio.create_task(fetch(client, f"{service.url}/delay/9"))
            await in_flight(client, service, 1)
            service.signal(signal.SIGTERM)
            service.await_event("lifecycle", phase="draining")
            began = time.monotonic()
            service.signal(second)
            assert service.await_exit() == code
            elapsed = time.monotonic() - began
            with pytest.raises(httpx2.HTTPError):
                (await request).raise_for_status()

    assert elapsed < 30  # two time-outs of 40 s were cut short


async def test_requests_beyond_the_grace_period_are_cut_and_told():
    """A request that outlives the grace period is cut; the exit code is 1."""
    with serving(server__drain_delay=0, server__grace_period=0.5) as service:
        async with httpx2.AsyncClient() as client:
            request = asyncio.create_task(fetch(client, f"{service.url}/delay/9"))
            await in_flight(client, service, 1)
            service.signal(signal.SIGTERM)
            code = service.await_exit()
            with pytest.raises(httpx2.HTTPError):
                (await request).raise_for_status()

    assert code == 1
    assert service.events("requests_cut")[0]["count"] == 1


async def test_hard_limit_ends_a_process_whose_loop_hangs():
    """Even a blocked event loop does not outlive the hard limit."""
    with serving(
        module="tests.support.blocking_service",
        server__drain_delay=0,
        server__grace_period=0.5,
        server__hard_limit=1,
    ) as service:
        with socket.create_connection(("127.0.0.1", service.ports["httpserver"])) as s:
            s.sendall(b"GET /block/100 HTTP/1.1\r\nHost: x\r\n\r\n")
            await_unready(service)
            service.signal(signal.SIGTERM)
            assert service.await_exit() == 1


def await_unready(service: ServiceProcess) -> None:
    """Wait until the admin port says that the main loop does not answer."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        answer = httpx2.get(f"{service.admin_url}/readyz?verbose")
        if answer.status_code == 503:
            assert "main_loop" in answer.json()["checks"]
            return
    raise AssertionError("still ready")


async def test_blocked_main_loop_leaves_probes_and_scrapes_answering():
    """The admin port has a loop of its own."""
    with serving(
        module="tests.support.blocking_service", probes__check_timeout=0.3
    ) as service:
        with socket.create_connection(("127.0.0.1", service.ports["httpserver"])) as s:
            s.sendall(b"GET /block/100 HTTP/1.1\r\nHost: x\r\n\r\n")
            await_unready(service)
            live = httpx2.get(f"{service.admin_url}/livez")
            metrics = httpx2.get(f"{service.admin_url}/metrics")
            s.setblocking(False)
            with pytest.raises(BlockingIOError):
                s.recv(
                    1
                )  # the blocked request is not answered: the loop was busy all along

    assert live.status_code == 200
    assert "http_requests_in_flight 1.0" in metrics.text


async def test_hung_main_loop_fails_liveness_after_the_stall_limit():
    """A loop that never comes back is worth a restart."""
    with serving(
        module="tests.support.blocking_service", probes__stall_limit=1
    ) as service:
        with socket.create_connection(("127.0.0.1", service.ports["httpserver"])) as s:
            s.sendall(b"GET /block/100 HTTP/1.1\r\nHost: x\r\n\r\n")
            end = time.monotonic() + LIMIT
            while httpx2.get(f"{service.admin_url}/livez").status_code == 200:
                assert time.monotonic() < end
                await asyncio.sleep(0.05)


def test_port_in_use_is_told_and_exit_is_1():
    """The address that is taken stands in the log."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        service = ServiceProcess(
            [
                *("service", "serve", "--host", "127.0.0.1", "--port", str(port)),
                *("--admin-port", "0", "--log-format", "json"),
            ]
        )
        try:
            failed = service.await_event("start_failed")
            code = service.await_exit()
        finally:
            service.close()

    assert code == 1
    assert f"127.0.0.1:{port}" in failed["reason"]


async def test_idle_keep_alive_connection_may_send_one_more_request():
    """A request that was on its way when the listener closed is answered."""
    # one that came too late, as on a busy machine, was not yet on its way
    for _ in range(5):
        first, rest, seconds = await one_more_request()
        if seconds < LINGER / 2:
            break

    assert b"connection: close" not in first
    assert b"HTTP/1.1 200 OK" in rest
    assert b"connection: close" in rest


async def one_more_request() -> tuple[bytes, bytes, float]:
    """
    Send one request before the listener closes and one after it.

    Returns:
        Head of the first answer, the second answer, and when its request was sent, in
        seconds after the close.
    """
    with serving(server__drain_delay=0, server__grace_period=5) as service:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", service.ports["httpserver"]
        )
        request = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
        writer.write(request)
        first = await reader.readuntil(b"\r\n\r\n")
        service.signal(signal.SIGTERM)
        line = service.await_event("lifecycle", phase="stopping")
        await refused(service.ports["httpserver"])
        writer.write(request)
        sent = datetime.now(UTC) - datetime.fromisoformat(line["timestamp"])
        with contextlib.suppress(ConnectionError):
            rest = b""
            rest = await reader.read()
        writer.close()
        assert service.await_exit() == 0
    return first, rest, sent.total_seconds()


async def refused(port: int) -> None:
    """Wait until nobody listens any more."""
    with contextlib.suppress(ConnectionError):
        while True:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()


async def test_silent_connection_does_not_hold_the_stop():
    """Connections without a request are closed, not waited for."""
    with serving(**PATIENT | {"server__drain_delay": 0}) as service:
        with socket.create_connection(("127.0.0.1", service.ports["httpserver"])):
            service.signal(signal.SIGTERM)
            assert service.await_exit(limit=35) == 0


async def test_worker_processes_share_port_metrics_and_stop():
    """Two workers' metrics add up, a dead one is replaced, the stop is clean."""
    with serving("--workers", "2", server__drain_delay=0.2) as service:
        async with httpx2.AsyncClient() as client:
            for _ in range(30):
                answer = await client.get(
                    f"{service.url}/hello", headers={"connection": "close"}
                )
                assert answer.status_code == 200
            await counted(service, client, 30)
            pids = [line["pid"] for line in service.events("worker_started")]
            await replace_worker(service, client, pids[0])
        service.signal(signal.SIGTERM)
        code = service.await_exit()

    assert len(pids) == 2
    assert code == 0, service.log


async def counted(service, client, count: int) -> None:
    """Wait until the workers' metrics, which they tell now and then, are so many."""
    series = 'http_requests_total{method="GET",route="/hello",status="200"}'
    async with asyncio.timeout(LIMIT):
        while True:
            text = (await client.get(f"{service.admin_url}/metrics")).text
            if f"{series} {count}.0\n" in text:
                return
            await asyncio.sleep(0.05)


async def replace_worker(service, client, pid: int) -> None:
    """Kill a worker of the service's own and wait until the pool is whole again."""
    os.kill(pid, signal.SIGKILL)
    service.await_event("worker_died", pid=pid)
    service.await_event("worker_started")
    async with asyncio.timeout(LIMIT):
        while (await client.get(f"{service.admin_url}/readyz")).status_code != 200:
            await asyncio.sleep(0.05)
    assert (await client.get(f"{service.url}/hello")).status_code == 200
