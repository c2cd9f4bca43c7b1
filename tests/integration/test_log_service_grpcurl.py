"""A client written by somebody else works with the log service: grpcurl, in Go."""

import base64
import json
import shutil
import subprocess

import pytest

from tests.support.certificates import Authority, TlsMount
from tests.support.log_service import PORT, serving_log

pytestmark = pytest.mark.skipif(
    not shutil.which("grpcurl"), reason="grpcurl is not installed"
)

SERVICE = "log.v1.LogService"


def encoded(value):
    return base64.b64encode(value).decode()


def grpcurl(port, *arguments, data=None, options=("-plaintext",)):
    """Exit code, the answers, and what it complains of."""
    sent = () if data is None else ("-d", "@")
    done = subprocess.run(
        ["grpcurl", *options, *sent, f"127.0.0.1:{port}", *arguments],
        input="".join(map(json.dumps, data or ())),
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def answers(text):
    """The JSON documents that stand one after the other."""
    decoder, found = json.JSONDecoder(), []
    while text := text.lstrip():
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:]
    return found


def test_grpcurl_learns_the_api_and_uses_it(tmp_path):
    """By reflection: every kind of call, and an error with its details."""
    with serving_log(tmp_path) as service:
        port = service.ports[PORT]
        _, listed, _ = grpcurl(port, "list", SERVICE)
        _, described, _ = grpcurl(port, "describe")
        first = {"value": encoded(b"hello"), "key": encoded(b"k")}
        produced = grpcurl(port, f"{SERVICE}/Produce", data=[{"records": [first]}])
        requests = [{"records": [{"value": encoded(each)}]} for each in (b"a", b"b")]
        streamed = grpcurl(port, f"{SERVICE}/ProduceStream", data=requests)
        consumed = grpcurl(port, f"{SERVICE}/Consume", data=[{"offset": 0}])
        code, _, complaint = grpcurl(
            port,
            f"{SERVICE}/Consume",
            data=[{"offset": 9}],
            options=("-plaintext", "-H", "accept-language: zh-CN"),
        )
        _, health, _ = grpcurl(port, "grpc.health.v1.Health/Check")

    assert f"{SERVICE}.ConsumeStream" in listed.split()
    for name in (SERVICE, "grpc.reflection.v1.ServerReflection"):
        assert f"{name} is a service" in described
    assert answers(produced[1]) == [{"count": 1}]  # JSON leaves an offset of 0 out
    assert [each["offset"] for each in answers(streamed[1])] == ["1", "2"]
    assert [each["value"] for each in answers(consumed[1])[0]["records"]] == [
        encoded(each) for each in (b"hello", b"a", b"b")
    ]
    assert code != 0
    assert "OutOfRange" in complaint
    assert "OFFSET_OUT_OF_RANGE" in complaint
    assert "zh-CN" in complaint
    assert "SERVING" in health


def test_grpcurl_works_by_mutual_tls(tmp_path):
    """With a certificate it is let in, without one it is not."""
    authority = Authority()
    mount = TlsMount(tmp_path / "tls", authority.server(), ca=authority.pem)
    cert, key = authority.issue("client.example.com").write(tmp_path / "client")
    trust = ("-cacert", str(mount.folder / "ca.crt"), "-servername", "localhost")
    settings = {
        "tls__enabled": "true",
        "tls__client_auth": "required",
        "tls__cert_file": mount.folder / "tls.crt",
        "tls__key_file": mount.folder / "tls.key",
        "tls__client_ca_file": mount.folder / "ca.crt",
    }
    call = f"{SERVICE}/Produce"
    data = [{"records": [{"value": encoded(b"x")}]}]
    with serving_log(tmp_path / "log", **settings) as service:
        port = service.ports[PORT]
        shown = (*trust, "-cert", str(cert), "-key", str(key))
        let_in = grpcurl(port, call, data=data, options=shown)
        kept_out = grpcurl(
            port, call, data=data, options=(*trust, "-connect-timeout", "3")
        )

    assert let_in[0] == 0, let_in[2]
    assert answers(let_in[1]) == [{"count": 1}]
    assert kept_out[0] != 0
