"""Who may do what with the log: certificates, tokens, permissions, as they are now."""

import asyncio
import json
import signal

import grpc
import pytest
import yaml

from service.log_api.errors import Reason
from service.log_api.v1 import log_pb2
from tests.support.certificates import Authority, TlsMount, client_context
from tests.support.https_load import served_serial
from tests.support.log_service import (
    PORT,
    channel,
    consume_all,
    failure_of,
    reason_of,
    record,
    refusal_of,
    serving_log,
    values_of,
)
from tests.support.process import LIMIT
from tests.support.settings_files import KubernetesMount

AUTHORITY = Authority()
OTHER = Authority("Other root")

PRODUCE = log_pb2.ProduceRequest(records=[record(b"x")])
TOKEN = "a-token-of-sixteen-characters-or-more"
BEARER = (("authorization", f"Bearer {TOKEN}"),)


@pytest.fixture
def mount(tmp_path):
    return TlsMount(tmp_path / "tls", AUTHORITY.server(), ca=AUTHORITY.pem)


def tls_settings(mount, **more):
    paths = {
        f"tls__{name}": mount.folder / file
        for name, file in (
            ("cert_file", "tls.crt"),
            ("key_file", "tls.key"),
            ("client_ca_file", "ca.crt"),
        )
    }
    return {"tls__enabled": "true", **paths, **more}


async def until_served(port, issued):
    """Wait until new connections are shown *issued*; the client shows nothing."""
    async with asyncio.timeout(LIMIT):
        while await served_serial(port, client_context(AUTHORITY)) != issued.serial:
            await asyncio.sleep(0.05)


async def test_tls_alone_lets_everybody_in_who_believes_the_server(tmp_path, mount):
    """Encrypted calls work, plain ones and those who believe another root don't."""
    with serving_log(tmp_path / "log", **tls_settings(mount)) as service:
        port = service.ports[PORT]
        async with channel(port, authority=AUTHORITY) as stub:
            offset = (await stub.Produce(PRODUCE)).offset
        async with channel(port) as stub:
            plain = await failure_of(stub.Produce(PRODUCE))
        async with channel(port, authority=OTHER) as stub:
            believes_other = await failure_of(stub.Produce(PRODUCE))
        service.signal(signal.SIGTERM)
        await asyncio.to_thread(service.await_exit)
        not_of_the_log = service.process.stderr.read()

    assert offset == 0
    assert not_of_the_log == ""
    assert plain.code() is grpc.StatusCode.UNAVAILABLE
    assert believes_other.code() is grpc.StatusCode.UNAVAILABLE


async def test_subject_of_a_certificate_may_do_what_is_listed(tmp_path, mount):
    """Common and alternative names are subjects; without a certificate: nothing."""
    permissions = {
        "writer": {"produce": ["records"]},
        "spiffe://example.test/reader": {"consume": ["*"]},
    }
    listed = {
        "tls__client_auth": "required",
        "access": "listed",
        "permissions": json.dumps(permissions),
        "streams": '["records","other"]',
    }
    writer = AUTHORITY.issue(common_name="writer")
    reader = AUTHORITY.issue("spiffe://example.test/reader")
    nobody = AUTHORITY.issue(common_name="nobody")
    with serving_log(tmp_path / "log", **tls_settings(mount, **listed)) as service:
        port = service.ports[PORT]
        async with channel(port, authority=AUTHORITY, issued=writer) as stub:
            offset = (await stub.Produce(PRODUCE)).offset
            denied = [
                await failure_of(stub.Consume(log_pb2.ConsumeRequest())),
                await failure_of(
                    stub.Produce(
                        log_pb2.ProduceRequest(stream="other", records=PRODUCE.records)
                    )
                ),
                await failure_of(
                    stub.ConsumeStream(log_pb2.ConsumeStreamRequest()).read()
                ),
            ]
        async with channel(port, authority=AUTHORITY, issued=reader) as stub:
            read = values_of(await consume_all(stub))
            denied.append(await failure_of(stub.Produce(PRODUCE)))
            request = log_pb2.ProduceStreamRequest(records=PRODUCE.records)
            denied.append(
                await refusal_of(lambda: stub.ProduceStream(iter([request])).read())
            )
        async with channel(port, authority=AUTHORITY, issued=nobody) as stub:
            offsets = log_pb2.GetOffsetsRequest()
            denied.append(await failure_of(stub.GetOffsets(offsets)))
        refused = []
        for shown in (None, OTHER.issue(common_name="writer"), AUTHORITY.expired("w")):
            async with channel(port, authority=AUTHORITY, issued=shown) as stub:
                refused.append(await failure_of(stub.Produce(PRODUCE)))
        line = service.await_event("call", subject="writer")

    assert (offset, read) == (0, [b"x"])
    assert {each.code() for each in denied} == {grpc.StatusCode.PERMISSION_DENIED}
    assert {each.code() for each in refused} == {grpc.StatusCode.UNAVAILABLE}
    assert line["code"] == "OK"


async def test_renewed_certificates_are_used_without_a_restart(tmp_path, mount):
    """A new pair and a new authority of clients; open connections go on."""
    settings = tls_settings(mount, tls__client_auth="required")
    old, new = AUTHORITY.issue(common_name="old"), OTHER.issue(common_name="new")
    with serving_log(tmp_path / "log", **settings) as service:
        port = service.ports[PORT]
        async with channel(port, authority=AUTHORITY, issued=old) as before:
            await before.Produce(PRODUCE)
            renewed = AUTHORITY.server()
            mount.rotate(renewed, ca=OTHER.pem)
            await until_served(port, renewed)
            async with channel(port, authority=AUTHORITY, issued=new) as stub:
                offset = (await stub.Produce(PRODUCE)).offset
            async with channel(port, authority=AUTHORITY, issued=old) as stub:
                refused = await failure_of(stub.Produce(PRODUCE))
            still = (await before.Produce(PRODUCE)).offset

    assert (offset, still) == (1, 2)
    assert refused.code() is grpc.StatusCode.UNAVAILABLE


async def test_pair_that_does_not_fit_changes_nothing(tmp_path, mount):
    """The old certificate stays; the log and a metric tell."""
    with serving_log(tmp_path / "log", **tls_settings(mount)) as service:
        broken = AUTHORITY.server()
        broken.key = AUTHORITY.server().key
        mount.rotate(broken)
        await asyncio.to_thread(service.await_event, "tls_reload_failed")
        async with channel(service.ports[PORT], authority=AUTHORITY) as stub:
            offset = (await stub.Produce(PRODUCE)).offset

    assert offset == 0


def test_certificate_that_can_not_be_used_stops_the_start(tmp_path):
    """With the file that is wrong."""
    missing = tmp_path / "tls"
    missing.mkdir()
    with (
        pytest.raises(AssertionError, match=r"can't read .*tls\.crt"),
        serving_log(
            tmp_path / "log",
            tls__enabled="true",
            tls__cert_file=missing / "tls.crt",
            tls__key_file=missing / "tls.key",
        ),
    ):
        pass


def settings_file(permissions, token=TOKEN):
    section = {
        "access": "listed",
        "tokens": {"app": token, "idle": "another-token-that-nobody-uses"},
        "permissions": permissions,
    }
    return yaml.safe_dump({"log_service": section})


async def test_bearer_token_stands_for_its_subject_and_permissions_are_live(tmp_path):
    """A missing or wrong token is told apart from one that may not; a change holds."""
    everything = {"app": {"produce": ["*"], "consume": ["records"]}}
    config = KubernetesMount(tmp_path / "etc", config_yaml=settings_file(everything))
    arguments = ("--config", str(config.folder / "config.yaml"))
    with serving_log(tmp_path / "log", *arguments) as service:
        async with channel(service.ports[PORT]) as stub:
            offset = (await stub.Produce(PRODUCE, metadata=BEARER)).offset
            unknown = [
                await failure_of(stub.Produce(PRODUCE, metadata=metadata))
                for metadata in (
                    (),
                    (("authorization", "Bearer wrong"),),
                    (("authorization", "Basic eDp5"),),
                    (("authorization", "Bearer"),),
                )
            ]
            consuming = stub.ConsumeStream(
                log_pb2.ConsumeStreamRequest(), metadata=BEARER
            )
            await consuming.read()
            config.swap(config_yaml=settings_file({"app": {"produce": ["records"]}}))
            await asyncio.to_thread(service.await_event, "settings_reloaded")
            await stub.Produce(PRODUCE, metadata=BEARER)
            taken_away = await failure_of(consuming.read())
            denied = await failure_of(
                stub.Consume(log_pb2.ConsumeRequest(), metadata=BEARER)
            )
            config.swap(config_yaml=settings_file(everything, token="b" * 20))
            await asyncio.to_thread(service.await_event, "settings_reloaded")
            old_token = await failure_of(stub.Produce(PRODUCE, metadata=BEARER))

    assert offset == 0
    assert {each.code() for each in (*unknown, old_token)} == {
        grpc.StatusCode.UNAUTHENTICATED
    }
    assert {each.code() for each in (denied, taken_away)} == {
        grpc.StatusCode.PERMISSION_DENIED
    }


MAY = {"app": {"produce": ["*"], "consume": ["*"]}, "idle": {"consume": ["*"]}}
MAY_NOT = MAY | {"app": {"produce": ["other"]}}
IDLE = (("authorization", "Bearer another-token-that-nobody-uses"),)


@pytest.mark.parametrize(
    ("left", "code"),
    [
        (settings_file(MAY_NOT), grpc.StatusCode.PERMISSION_DENIED),
        (settings_file(MAY, token="b" * 20), grpc.StatusCode.UNAUTHENTICATED),
    ],
    ids=["permission", "token"],
)
async def test_quiet_streams_end_when_their_right_is_taken_back(tmp_path, left, code):
    """Nobody sends anything: the reload alone ends both, and nobody else's."""
    config = KubernetesMount(tmp_path / "etc", config_yaml=settings_file(MAY))
    arguments = ("--config", str(config.folder / "config.yaml"))
    request = log_pb2.ConsumeStreamRequest()
    with serving_log(tmp_path / "log", *arguments) as service:
        async with channel(service.ports[PORT]) as stub, asyncio.timeout(LIMIT):
            consuming = stub.ConsumeStream(request, metadata=BEARER)
            others = stub.ConsumeStream(request, metadata=IDLE)
            producing = stub.ProduceStream(metadata=BEARER)
            await producing.write(log_pb2.ProduceStreamRequest(records=PRODUCE.records))
            for call in (consuming, producing, others):
                await call.read()
            config.swap(config_yaml=left)
            ends = [await failure_of(each.read()) for each in (consuming, producing)]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(others.read(), 0.5)

    assert [each.code() for each in ends] == [code, code]


async def test_guesses_of_a_token_are_slowed_down(tmp_path):
    """After ten wrong ones the address has to wait, with the right one too."""
    config = tmp_path / "config.yaml"
    config.write_text(settings_file({"app": {"produce": ["*"]}}))
    with serving_log(tmp_path / "log", "--config", str(config)) as service:
        async with channel(service.ports[PORT]) as stub:
            wrong = (("authorization", "Bearer wrong"),)
            failures = [
                await failure_of(stub.Produce(PRODUCE, metadata=wrong))
                for _ in range(11)
            ]
            right = await failure_of(stub.Produce(PRODUCE, metadata=BEARER))

    assert [reason_of(each) for each in failures] == [
        *[Reason.UNAUTHENTICATED] * 10,
        Reason.RATE_LIMITED,
    ]
    assert reason_of(right) is Reason.RATE_LIMITED


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"access": "listed"}, "needs log_service.tokens or"),
        ({"tokens": '{"app": "short"}'}, "16 characters at least"),
        ({"streams": '["a","a"]'}, "must not name a stream twice"),
        ({"streams": '["A/b"]'}, "log_service.streams"),
        ({"server__workers": 2}, "needs server.workers: 1"),
        ({"policy__max_record_bytes": 8_000_000}, "must not be above"),
    ],
    ids=["nobody known", "short token", "twice", "name", "workers", "sizes"],
)
def test_settings_that_can_not_be_meant_stop_the_start(tmp_path, settings, told):
    """With the setting that is wrong."""
    with (
        pytest.raises(AssertionError, match=told),
        serving_log(tmp_path / "log", **settings),
    ):
        pass
