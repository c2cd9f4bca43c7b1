"""
Reflection: tells clients what the API is, under the name that new ones ask for as well.

The library offers `grpc.reflection.v1alpha` alone. `grpc.reflection.v1` has the same
messages under another name, so the same handler answers both, and no client has to ask
twice.

Source: https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

from collections.abc import Sequence

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, text_format
from grpc_reflection.v1alpha import reflection, reflection_pb2

__all__ = ["NAME", "add_reflection"]

NAME = "grpc.reflection.v1.ServerReflection"
"""Full name of the service, as new clients ask for it."""


def add_reflection(server: grpc.aio.Server, services: Sequence[str]) -> None:
    """
    Let *server* tell of *services*, and of itself.

    Args:
        server: Not started yet.
        services: Full names.
    """
    _describe()
    names = (*services, reflection.SERVICE_NAME, NAME)
    reflection.enable_server_reflection(names, server)
    handler = grpc.stream_stream_rpc_method_handler(
        reflection.aio.ReflectionServicer(names).ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    methods = {"ServerReflectionInfo": handler}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(NAME, methods),)
    )


def _describe() -> None:
    """Let the new name be described too: the old file, renamed throughout."""
    old, new = (
        descriptor_pb2.FileDescriptorProto(),
        descriptor_pb2.FileDescriptorProto(),
    )
    reflection_pb2.DESCRIPTOR.CopyToProto(old)
    text_format.Parse(text_format.MessageToString(old).replace("v1alpha", "v1"), new)
    descriptor_pool.Default().AddSerializedFile(new.SerializeToString())
