"""The client of the log service, of several addresses, and by TLS that is rotated."""

import asyncio
import contextlib
import signal

import pytest

from service.commitlog import Record
from service.commitlog.errors import LogUnreachable
from service.discovery.balancer import Balancer, Policy
from service.discovery.model import Endpoint
from service.log_api.errors import CallRefused, Reason
from service.log_client.client import LogClient
from service.log_client.options import ChannelOptions, Tls, token_in
from service.log_client.targets import FixedEndpoints
from tests.support.certificates import Authority, TlsMount
from tests.support.log_service import PORT, serving_log
from tests.support.nats import nats_server
from tests.support.process import LIMIT
from tests.support.waiting import until

TOKEN = "a-token-of-sixteen-characters-or-more"


def address(service):
    return f"127.0.0.1:{service.ports[PORT]}"


def calls_of(service):
    return len(service.events("call"))


async def collect(batches, count):
    """The first *count* records."""
    found = []
    async with asyncio.timeout(LIMIT), contextlib.aclosing(batches):
        async for batch in batches:
            found += batch
            if len(found) >= count:
                return found
    raise AssertionError(f"ended after {len(found)}")


async def test_two_addresses_share_the_calls_and_one_may_be_killed(tmp_path):
    """Over JetStream: both are called in turn; then one alone, and nothing is lost."""
    with nats_server(tmp_path) as nats:
        settings = {"store": "jetstream", "jetstream__servers": f'["{nats.url}"]'}
        settings["jetstream__replicas"] = 1
        with (
            serving_log(tmp_path, **settings) as one,
            serving_log(tmp_path, **settings) as two,
        ):
            target = f"{address(one)},{address(two)}"
            async with LogClient(
                target, if_unknown="deduplicated", deadline=LIMIT
            ) as log:
                following = asyncio.create_task(collect(log.follow(0), 40))
                for n in range(20):
                    await log.produce([Record(b"%d" % n)])
                # the log of another process comes when it comes
                await asyncio.to_thread(
                    until, lambda: min(calls_of(one), calls_of(two)) >= 9
                )
                one.signal(signal.SIGKILL)
                for n in range(20, 40):
                    await log.produce([Record(b"%d" % n)])
                found = await following

    assert [each.offset for each in found] == list(range(40))
    assert [each.value for each in found] == [b"%d" % n for n in range(40)]


async def test_service_of_discovery_is_followed_to_where_it_is(tmp_path):
    """`service://` goes to the endpoints that the registry knows at the time."""

    class Moving(FixedEndpoints):
        def move(self, *services):
            ports = [each.ports[PORT] for each in services]
            self._endpoints = tuple(Endpoint("127.0.0.1", port) for port in ports)

    registry = Moving(())
    balancer = Balancer(registry, policy=Policy(way="round_robin"))
    with (
        serving_log(tmp_path / "a") as a,
        serving_log(tmp_path / "b") as b,
    ):
        async with LogClient("service://log", balancer=balancer, attempts=1) as log:
            with pytest.raises(LogUnreachable, match="no endpoint"):
                await log.offsets()
            registry.move(a)
            await log.produce([Record(b"1"), Record(b"2")])
            registry.move(b)
            moved = await log.offsets()

    assert moved.next == 0


async def test_rotated_certificate_and_token_are_taken_by_the_next_call(tmp_path):
    """Broken ones change nothing and are told; streams that are open go on."""
    authority = Authority()
    mount = TlsMount(tmp_path / "tls", authority.server(), ca=authority.pem)
    told = []
    mine = {name: tmp_path / name for name in ("ca", "cert", "key", "token")}

    def write(issued):
        mine["cert"].write_text(issued.cert)
        mine["key"].write_text(issued.key)

    mine["ca"].write_text(authority.pem)
    mine["token"].write_text(TOKEN)
    write(authority.issue(common_name="reader"))
    files = {"cert_file": "tls.crt", "key_file": "tls.key", "client_ca_file": "ca.crt"}
    settings = {f"tls__{name}": mount.folder / file for name, file in files.items()}
    permissions = '{"reader": {"consume": ["*"]}, "writer": {"produce": ["*"]}}'
    settings |= {"access": "listed", "permissions": permissions}
    settings |= {"tls__enabled": "true", "tls__client_auth": "required"}
    tls = Tls(ca=mine["ca"], cert=mine["cert"], key=mine["key"])
    with serving_log(tmp_path / "log", **settings) as service:
        async with LogClient(
            address(service), options=ChannelOptions(tls=tls), tell=told.append
        ) as log:
            following = asyncio.create_task(collect(log.follow(0), 1))
            with pytest.raises(CallRefused) as denied:
                await log.produce([Record(b"x")])
            mine["cert"].write_text("broken")
            await log.offsets()
            write(authority.issue(common_name="writer"))
            await log.produce([Record(b"x")])
            found = await following

    assert denied.value.reason is Reason.PERMISSION_DENIED
    assert len(told) == 1
    assert [each.value for each in found] == [b"x"]
    assert token_in(mine["token"])() == TOKEN
