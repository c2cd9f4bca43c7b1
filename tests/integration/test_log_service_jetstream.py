"""The log service over NATS JetStream: pods share the streams, servers may be lost."""

import asyncio

import grpc
import httpx2 as httpx
import pytest

from service.log_api.v1 import log_pb2
from tests.support.certificates import Authority
from tests.support.log_http import RECORDS, body, produce
from tests.support.log_service import (
    PORT,
    channel,
    consume_all,
    record,
    serving_log,
    values_of,
)
from tests.support.nats import nats_cluster, nats_server
from tests.support.process import LIMIT

TOKEN = "a-token-of-the-servers"
AUTHORIZED = f'authorization {{ token: "{TOKEN}" }}'


def settings_of(servers, **others):
    urls = ",".join(f'"{server.url}"' for server in servers)
    return {"store": "jetstream", "jetstream__servers": f"[{urls}]", **others}


async def produced(stub, *values, **headers):
    named = [log_pb2.Header(name=n, value=v) for n, v in headers.items()]
    records = [record(each, headers=named) for each in values]
    return (await stub.Produce(log_pb2.ProduceRequest(records=records))).offset


@pytest.mark.parametrize(
    "killing",
    [
        pytest.param(False, id="all servers"),
        # an election of JetStream takes seconds
        pytest.param(True, id="leader killed", marks=pytest.mark.soak),
    ],
)
async def test_two_services_share_a_log(tmp_path, killing):
    """What one acknowledges the other streams, in order, once, without a gap."""
    with nats_cluster(tmp_path, extra=AUTHORIZED) as servers:
        settings = settings_of(servers, jetstream__token=TOKEN)
        with (
            serving_log(tmp_path, **settings) as one,
            serving_log(tmp_path, **settings) as two,
        ):
            async with channel(one.ports[PORT]) as first, channel(two.ports[PORT]) as b:
                request = log_pb2.ConsumeStreamRequest(offset=0)
                stream = b.ConsumeStream(request)
                sent = [b"%d" % number for number in range(40)]
                for value in sent[:20]:
                    await produced(first, value)
                if killing:
                    leader = servers[0].leader_of("log-records")
                    next(s for s in servers if s.name == leader).kill()
                for value in sent[20:]:
                    await produced(first, value)
                seen = []
                async with asyncio.timeout(LIMIT):
                    while len(seen) < len(sent):
                        seen += values_of((await stream.read()).records)
                stored = values_of(await consume_all(b))

    assert seen == sent == stored


async def test_one_service_knows_at_once_what_the_other_acknowledged(tmp_path):
    """Each way to ask for the end, or for what is there, right after an append."""
    with nats_server(tmp_path) as server:
        settings = settings_of([server], jetstream__replicas=1, http__enabled="true")
        with (
            serving_log(tmp_path, **settings) as one,
            serving_log(tmp_path, **settings) as two,
        ):
            async with channel(one.ports[PORT]) as first, channel(two.ports[PORT]) as b:
                ends, streamed = [], []
                for n in range(5):
                    await produced(first, b"grpc %d" % n)
                    ends.append((await b.GetOffsets(log_pb2.GetOffsetsRequest())).next)
                    at = await produced(first, b"followed %d" % n)
                    request = log_pb2.ConsumeStreamRequest(offset=at)
                    stream = b.ConsumeStream(request)
                    streamed += values_of((await stream.read()).records)
                    stream.cancel()
            there, here = httpx.Client(base_url=one.url), httpx.Client(base_url=two.url)
            with there, here:
                read, told, shown, listed = [], [], [], []
                for n in range(5):
                    at = produce(there, b"http %d" % n)
                    read.append(here.get(f"{RECORDS}/{at}").status_code)
                    at = produce(there, b"offsets %d" % n)
                    told.append(here.get("/log/offsets").json()["next"] - at)
                    produce(there, b"shown %d" % n)
                    shown.append(f"shown {n}" in here.get("/log").text)
                    at = produce(there, b"listed %d" % n, b"the last")
                    page = here.get(f"{RECORDS}?from={at}&limit=1").json()
                    listed.append(page["next"] - page["next_from"])

    assert ends == [1, 3, 5, 7, 9]
    assert streamed == [b"followed %d" % n for n in range(5)]
    assert (read, told, shown) == ([200] * 5, [1] * 5, [True] * 5)
    assert listed == [1] * 5


def test_request_with_a_key_is_stored_once_by_whichever_service(tmp_path):
    """It is sent again to another pod; another request, or another key, is not it."""
    with nats_server(tmp_path) as server:
        settings = settings_of([server], jetstream__replicas=1, http__enabled="true")
        with (
            serving_log(tmp_path, **settings) as one,
            serving_log(tmp_path, **settings) as two,
        ):

            def send(service, key, *values):
                answer = httpx.post(
                    service.url + RECORDS,
                    json={"records": [body(each) for each in values]},
                    headers={"Idempotency-Key": key},
                )
                return answer.json()["offset"]

            single = [send(service, "a", b"1") for service in (one, two, one, two)]
            batch = [send(service, "b", b"1", b"2") for service in (one, two)]
            others = [send(one, "c", b"1"), send(two, "c", b"2")]

    assert (single, batch, others) == ([0] * 4, [1, 1], [3, 4])


async def test_record_with_an_id_is_produced_once(tmp_path):
    """A client that heard no answer sends the same again."""
    with (
        nats_server(tmp_path) as server,
        serving_log(
            tmp_path, **settings_of([server], jetstream__replicas=1)
        ) as service,
    ):
        async with channel(service.ports[PORT]) as stub:
            name = {"Nats-Msg-Id": b"payment-1"}
            offsets = [await produced(stub, b"once", **name) for _ in range(3)]
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await produced(stub, b"", **{"Nats-Msg-Id": b"two words"})

    assert offsets == [0, 0, 0]
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_mutual_tls_reaches_the_servers(tmp_path):
    """A certificate of ours, an authority of theirs."""
    authority = Authority("nats authority")
    certificate, key = authority.issue("127.0.0.1").write(tmp_path / "tls")
    ca = tmp_path / "ca.crt"
    ca.write_text(authority.pem)
    tls = f'tls {{ cert_file: "{certificate}", key_file: "{key}", ca_file: "{ca}"'
    with nats_server(tmp_path, extra=f"{tls}, verify: true }}") as server:
        settings = settings_of([server], jetstream__replicas=1)
        settings["jetstream__servers"] = settings["jetstream__servers"].replace(
            "nats://", "tls://"
        )
        files = {"ca_file": ca, "cert_file": certificate, "key_file": key}
        settings |= {f"jetstream__{name}": path for name, path in files.items()}
        with serving_log(tmp_path, **settings) as service:
            async with channel(service.ports[PORT]) as stub:
                assert await produced(stub, b"secret") == 0


def test_servers_that_are_not_there_are_told_at_the_start(tmp_path):
    """The reason in one sentence, and exit code 1."""
    with nats_server(tmp_path) as server:
        settings = settings_of([server], jetstream__timeout=1)
    with pytest.raises(AssertionError) as caught:
        with serving_log(tmp_path, **settings):
            pass
    told = str(caught.value)

    assert "ended with 1" in told
    assert "log_service.jetstream: no server of NATS answers" in told
