"""The running service speaks TLS: to whom it should, with the certificate of now."""

import asyncio
import contextlib
import signal
import socket
import ssl
import time

import httpx2
import pytest

from tests.support.certificates import Authority, TlsMount, client_context
from tests.support.https_load import HttpsLoad, served_serial
from tests.support.process import serving
from tests.support.scrape import await_value, value

AUTHORITY = Authority()

LIMIT = 60.0
"""Seconds until something awaited fails the test."""

QUICK = {"server__drain_delay": 0, "server__grace_period": 5}


@pytest.fixture
def mount(tmp_path):
    return TlsMount(tmp_path / "tls", AUTHORITY.server(), ca=AUTHORITY.pem)


@contextlib.contextmanager
def serving_tls(mount, **settings):
    with serving(**QUICK | settings, **mount.flags()) as service:
        yield service, service.ports["httpserver-tls"]


def get(port, path="/livez", **client):
    with httpx2.Client(
        verify=client_context(AUTHORITY, **client), trust_env=False
    ) as http:
        return http.get(f"https://127.0.0.1:{port}{path}")


async def until_served(port, issued):
    """Wait until new connections are shown *issued*."""
    async with asyncio.timeout(LIMIT):
        while await served_serial(port, client_context(AUTHORITY)) != issued.serial:
            await asyncio.sleep(0.02)


def metrics(service):
    return httpx2.get(f"{service.admin_url}/metrics", trust_env=False).text


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_port_answers_clients_and_outlives_what_is_none(mount):
    """HTTPS beside HTTP; old protocols and plain requests are turned away."""
    refused = {}
    with serving_tls(mount) as (service, port):
        answer = get(port, "/echo")
        plain = httpx2.get(f"{service.url}/echo", trust_env=False)
        for version in ("TLSv1", "TLSv1_1"):
            context = client_context(AUTHORITY)
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion[version]
            context.maximum_version = ssl.TLSVersion[version]
            with socket.create_connection(("127.0.0.1", port), LIMIT) as sock:
                with pytest.raises(ssl.SSLError) as error:
                    context.wrap_socket(sock, server_hostname="127.0.0.1")
                refused[version] = error.value.reason
        with socket.create_connection(("127.0.0.1", port), LIMIT) as sock:
            sock.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert not sock.recv(100).startswith(b"HTTP")
        with pytest.raises(httpx2.ConnectError, match="verify failed"):
            httpx2.get(f"https://127.0.0.1:{port}/livez", trust_env=False)
        after = get(port)
        body = metrics(service)
        service.signal(signal.SIGTERM)
        code = service.await_exit()

    assert (answer.status_code, plain.status_code, after.status_code) == (200,) * 3
    # uvloop closes without sending the alert, asyncio sends it; a close has no reason
    assert set(refused.values()) <= {
        None,
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "UNEXPECTED_EOF_WHILE_READING",
    }
    assert "httpserver_tls_reload_success 1.0" in body
    assert 'timestamp_seconds{certificate="server"} 1.' in body
    assert service.events("exception") == []
    assert code == 0


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01"], ids=["nothing", "3 bytes"])
def test_handshake_that_goes_nowhere_is_ended(mount, sent):
    """Within the time-out, and others are served meanwhile."""
    with serving_tls(mount, server__tls__handshake_timeout=1) as (_, port):
        with socket.create_connection(("127.0.0.1", port), LIMIT) as sock:
            begin = time.monotonic()
            sock.sendall(sent)
            meanwhile = get(port).status_code
            with contextlib.suppress(ConnectionResetError):
                assert sock.recv(1) == b""
            waited = time.monotonic() - begin

    assert meanwhile == 200
    assert waited < LIMIT


def test_client_certificate_is_required_and_names_the_peer(mount):
    """None, a stranger's and an expired one are refused; a good one has a name."""
    name = "spiffe://example.org/ns/shop/sa/cart"
    strangers = {
        "none": None,
        "other authority": Authority().issue("client.test"),
        "expired": AUTHORITY.expired("client.test"),
    }
    refused = []
    with serving_tls(mount, server__tls__client_auth="required") as (_, port):
        for label, issued in strangers.items():
            with contextlib.suppress(httpx2.TransportError):
                get(port, issued=issued)
                refused.append(label)
        good = get(port, "/echo", issued=AUTHORITY.issue("a.test", name)).json()

    assert refused == []
    assert good["peer"] == name


def test_certificate_that_cant_be_used_keeps_the_old_one(mount):
    """It is in the log and the metrics; the repair ends both."""
    broken, repaired = AUTHORITY.server(), AUTHORITY.server()
    broken.key = AUTHORITY.server().key
    with serving_tls(mount) as (service, port):
        mount.rotate(broken)
        failed = service.await_event("tls_reload_failed")
        during, still = metrics(service), get(port).status_code
        service.signal(signal.SIGHUP)
        service.await_event("tls_unchanged")
        mount.rotate(repaired)
        asyncio.run(until_served(port, repaired))
        await_value(service, "httpserver_tls_reload_success", 1)

    assert "is not the key of" in failed["reason"]
    assert len(service.events("tls_reload_failed")) == 1
    assert still == 200
    assert "httpserver_tls_reload_success 0.0" in during
    assert 'httpserver_tls_reloads_total{result="failed"} 1.0' in during


async def test_stop_that_is_forced_while_one_is_under_way_goes_to_its_end(mount):
    """What listens for TLS lets go once, however often it is told to."""
    with serving_tls(mount, server__grace_period=25) as (service, port):
        async with httpx2.AsyncClient(
            verify=client_context(AUTHORITY), trust_env=False, timeout=LIMIT
        ) as http:
            slow = asyncio.create_task(http.get(f"https://127.0.0.1:{port}/delay/9"))
            while not value(service, "http_requests_in_flight"):
                await asyncio.sleep(0.02)
            service.signal(signal.SIGTERM)
            service.await_event("lifecycle", phase="stopping")
            service.signal(signal.SIGTERM)
            code = service.await_exit()
            await asyncio.gather(slow, return_exceptions=True)

    assert code == 143
    assert service.events("lifecycle")[-1]["phase"] == "stopped"


def test_start_with_an_expired_certificate_is_refused(mount):
    """The process ends with 1 and says what is wrong."""
    mount.rotate(AUTHORITY.expired())
    with pytest.raises(AssertionError, match=r"ended with 1 before lifecycle.*expired"):
        with serving_tls(mount):
            pass


async def rotate(service, port, mount, *, times, **clients):
    """Rotate under load, each new certificate seen; return the load."""
    load = HttpsLoad(port, client_context(AUTHORITY))
    async with load.running(**clients):
        for _ in range(times):
            issued = AUTHORITY.server()
            mount.rotate(issued)
            await until_served(port, issued)
        seen = load.requests
        while load.requests < seen + 50:
            await asyncio.sleep(0.01)
    return load


async def test_rotations_under_load_fail_no_request(mount):
    """New connections get the new certificate, kept ones go on with theirs."""
    with serving_tls(mount) as (service, port):
        load = await rotate(service, port, mount, times=5)
        service.signal(signal.SIGTERM)
        code = service.await_exit()

    assert load.failures == []
    assert load.kept > 0
    assert load.fresh > 0
    assert len(service.events("tls_loaded")) == 6
    assert code == 0


async def test_workers_rotate_each_for_itself(mount):
    """Every worker of the port serves the new one, and the parent measures it."""
    issued = AUTHORITY.server()
    context = client_context(AUTHORITY)
    with serving_tls(mount, server__workers=2) as (service, port):
        mount.rotate(issued)
        alike = 0
        async with asyncio.timeout(LIMIT):
            while alike < 30:
                same = await served_serial(port, context) == issued.serial
                alike = alike + 1 if same else 0
        reloads = 'httpserver_tls_reloads_total{result="changed"}'
        await asyncio.to_thread(await_value, service, reloads, 1)
        body = metrics(service)

    assert f"{reloads} 1.0" in body
    assert body.count("\nhttpserver_tls_certificate_not_after") == 1


@pytest.mark.soak
async def test_hundred_rotations_at_a_hundred_requests_a_second_fail_none(mount):
    """Kept and new connections at once, each rotation seen by new ones."""
    begin = time.monotonic()
    with serving_tls(mount, log__access="false") as (service, port):
        load = await rotate(service, port, mount, times=100, kept=6)
    seconds = time.monotonic() - begin

    assert load.failures == []
    assert load.requests / seconds >= 100, (load.kept, load.fresh, seconds)
