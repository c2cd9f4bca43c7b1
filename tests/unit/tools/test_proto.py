"""The gRPC API: its generated code is fresh, and no client of a release breaks."""

import shutil
import subprocess
from pathlib import Path

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from service.log_api.v1 import log_pb2
from tools import proto

ROOT = Path(__file__).parents[3]
RELEASED = ROOT / "proto/released.json"

needs_buf = pytest.mark.skipif(not shutil.which("buf"), reason="buf is not installed")


def buf(*arguments):
    return subprocess.run(
        ["buf", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def released():
    text = RELEASED.read_text()
    return json_format.Parse(text, FileDescriptorSet(), ignore_unknown_fields=True)


def shape(file):
    """Everything that clients rely on: methods and fields with their types."""
    found = set()
    for message in file.message_type:
        for field in message.field:
            found.add(
                (message.name, field.name, field.number, field.type, field.type_name)
            )
            found.add((message.name, field.number, field.label, field.proto3_optional))
    for service in file.service:
        for method in service.method:
            streams = method.client_streaming, method.server_streaming
            types = method.input_type, method.output_type
            found.add((service.name, method.name, *types, *streams))
    return found


def test_generated_code_is_fresh():
    """Whoever changes the API runs `make proto`."""
    assert proto.main(["--check"]) == 0


def test_generated_code_of_another_api_is_old(monkeypatch, tmp_path):
    """The comparison sees a change."""
    path = next(iter(proto.render()))
    monkeypatch.setattr(proto, "render", lambda: {path: "something else"})

    assert proto.main(["--check"]) == 1


def test_nothing_of_the_released_api_is_gone():
    """Fields and methods may be added; what there is keeps number, name and type."""
    now = FileDescriptorProto()
    log_pb2.DESCRIPTOR.CopyToProto(now)
    (before,) = released().file

    assert before.package == now.package == "log.v1"
    assert shape(before)
    assert shape(before) <= shape(now)


@needs_buf
def test_buf_finds_nothing_to_lint():
    """The rules of `proto/buf.yaml`."""
    found = buf("lint", "proto")

    assert found.returncode == 0, found.stdout


@needs_buf
def test_buf_finds_nothing_that_breaks():
    """Its rules are stricter than ours: of names of files and packages too."""
    found = buf("breaking", "proto", "--against", RELEASED)

    assert found.returncode == 0, found.stdout


@needs_buf
def test_buf_finds_a_field_with_another_number(tmp_path):
    """The comparison sees a change."""
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    source = tmp_path / "proto/log/v1/log.proto"
    text = source.read_text()
    source.write_text(text.replace("uint64 offset = 2;", "uint64 offset = 9;"))
    found = buf("breaking", tmp_path / "proto", "--against", RELEASED)

    assert found.returncode != 0
    assert "offset" in found.stdout
