"""Reflection by the name of old clients, and by that of new ones."""

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2

from service.log_service.reflecting import add_reflection

NAMES = ["grpc.reflection.v1", "grpc.reflection.v1alpha"]


@pytest.fixture
async def port():
    server = grpc.aio.server()
    add_reflection(server, ["log.v1.LogService"])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield port
    await server.stop(None)


async def asked(port, package, **request):
    """The answer to one request."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.stream_stream(
            f"/{package}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        return await call(
            iter([reflection_pb2.ServerReflectionRequest(**request)])
        ).read()


@pytest.mark.parametrize("package", NAMES)
async def test_either_name_lists_all_services(port, package):
    """The served one, and reflection itself by both names."""
    answer = await asked(port, package, list_services="")

    listed = [each.name for each in answer.list_services_response.service]
    own = [f"{each}.ServerReflection" for each in NAMES]
    assert sorted(listed) == sorted([*own, "log.v1.LogService"])


@pytest.mark.parametrize("package", NAMES)
async def test_reflection_is_described_by_either_name(port, package):
    """As any service is: clients that describe all of a server don't fail at it."""
    symbol = f"{package}.ServerReflection"
    answer = await asked(port, package, file_containing_symbol=symbol)

    files = answer.file_descriptor_response.file_descriptor_proto
    found = FileDescriptorProto.FromString(files[0])
    assert found.package == package
    assert found.service[0].method[0].input_type == (
        f".{package}.ServerReflectionRequest"
    )
