"""The log service as a process of its own, its clients, and one in this process."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from service.commitlog import CommitLog
from service.log_api.errors import CallRefused, Reason, error_of
from service.log_api.v1 import log_pb2, log_pb2_grpc
from service.log_service.calls import Calls
from service.log_service.ending import Endings
from service.log_service.servicer import add_log_service
from service.observability.commitlog_metrics import CommitLogMetrics
from tests.support.certificates import Authority, Issued
from tests.support.process import ServiceProcess, serving

__all__ = [
    "LOST",
    "PORT",
    "channel",
    "consume_all",
    "failure_of",
    "health_of",
    "local_service",
    "produced",
    "reason_of",
    "record",
    "refusal_of",
    "serving_log",
    "stuck_consumer",
    "values_of",
]

PORT = "httpserver-log"
"""Name of the listener among the ports of the service."""

LOST = "Internal error from Core"
"""What grpc.aio tells, in the place of the status that came, when its write fails."""


@contextlib.contextmanager
def serving_log(
    directory: Path,
    *arguments: str,
    module: str = "service",
    environment: dict[str, str] | None = None,
    **settings: object,
) -> Iterator[ServiceProcess]:
    """Run the service with its log in *directory*; settings below `log_service`."""
    values = {"enabled": "true", "host": "127.0.0.1", "port": 0, "directory": directory}
    flags = {
        name if name.startswith("server__") else f"log_service__{name}": value
        for name, value in {**values, **settings}.items()
    }
    flags = {"server__drain_delay": 0, "server__grace_period": 5, **flags}
    with serving(
        *arguments, module=module, environment=environment, **flags
    ) as service:
        yield service


@contextlib.asynccontextmanager
async def channel(
    port: int,
    *,
    authority: Authority | None = None,
    issued: Issued | None = None,
    **options: Any,
) -> AsyncIterator["log_pb2_grpc.LogServiceAsyncStub"]:
    """Give a client of the service on *port*, by TLS where an authority is given."""
    given = [(f"grpc.{name}", value) for name, value in options.items()]
    address = f"127.0.0.1:{port}"
    # else all tests of a process would share connections
    given.append(("grpc.use_local_subchannel_pool", 1))
    if authority is None:
        made = grpc.aio.insecure_channel(address, given)
    else:
        credentials = grpc.ssl_channel_credentials(
            authority.pem.encode(),
            issued.key.encode() if issued else None,
            issued.cert.encode() if issued else None,
        )
        made = grpc.aio.secure_channel(address, credentials, given)
    async with made:
        yield log_pb2_grpc.LogServiceStub(made)


@contextlib.asynccontextmanager
async def local_service(
    log: CommitLog, **others: Any
) -> AsyncIterator[tuple["log_pb2_grpc.LogServiceAsyncStub", Calls]]:
    """Serve *log* in this process; give a client and what stands around its calls."""
    endings = Endings()
    metrics = CommitLogMetrics(CollectorRegistry())
    calls = Calls(metrics=metrics, endings=endings)
    server = grpc.aio.server(interceptors=[calls])
    add_log_service(server, log, endings=endings, **others)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with channel(port) as stub:
            yield stub, calls
    finally:
        endings.stop()
        await server.stop(1.0)


def record(value: bytes, **others: Any) -> log_pb2.Record:
    """Return a record to be produced."""
    return log_pb2.Record(value=value, **others)


async def produced(
    stub: "log_pb2_grpc.LogServiceAsyncStub", *values: bytes, stream: str = ""
) -> int:
    """Return the offset of the first of *values*, as records that were acknowledged."""
    records = [record(each) for each in values]
    request = log_pb2.ProduceRequest(stream=stream, records=records)
    return (await stub.Produce(request)).offset


async def consume_all(stub: "log_pb2_grpc.LogServiceAsyncStub", offset: int = 0):
    """Return the records from *offset* to the end."""
    end = (await stub.GetOffsets(log_pb2.GetOffsetsRequest())).next
    found: list[log_pb2.Record] = []
    while offset < end:
        request = log_pb2.ConsumeRequest(offset=offset)
        found += (await stub.Consume(request)).records
        offset = found[-1].offset + 1
    return found


def values_of(records) -> list[bytes]:
    """Return the values of *records*."""
    return [each.value for each in records]


async def stuck_consumer(stub: "log_pb2_grpc.LogServiceAsyncStub"):
    """Return a stream that fills the windows of HTTP/2 and is not read: 24 records."""
    for _ in range(24):
        await produced(stub, b"x" * 900_000)
    call = stub.ConsumeStream(log_pb2.ConsumeStreamRequest())
    await call.initial_metadata()
    return call


async def failure_of(call) -> grpc.aio.AioRpcError:
    """Return what *call* fails with; that it does is expected."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def refusal_of(start: Callable[[], Any]) -> grpc.aio.AioRpcError:
    """
    Return what the call that *start* begins fails with.

    One whose status grpc.aio lost, since it came while the client wrote, is made again.
    """
    while (failure := await failure_of(start())).details() == LOST:
        continue
    return failure


def reason_of(failure: grpc.aio.AioRpcError) -> Reason | None:
    """Return why the service refused a call."""
    error = error_of(failure)
    return error.reason if isinstance(error, CallRefused) else None


async def health_of(port: int, service: str = "") -> str:
    """Return the name of the status that the health service tells."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as made:
        stub = health_pb2_grpc.HealthStub(made)
        request = health_pb2.HealthCheckRequest(service=service)
        answer = await stub.Check(request)
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
