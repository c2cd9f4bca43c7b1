"""
A peer without a log or anything around its calls: what gRPC in Python itself costs.

Run it by `python -m tests.bench.peers.bare_log PORT ADMIN`; it answers any request by
HTTP on the second port once it takes calls.
"""

import asyncio
import itertools
import sys

import grpc
import uvloop

from service.log_api.v1 import log_pb2, log_pb2_grpc


class Nothing(log_pb2_grpc.LogServiceServicer):
    """Acknowledges what it forgets."""

    def __init__(self):
        self._offsets = itertools.count()

    async def Produce(self, request, _context):
        """Acknowledge a request."""
        return log_pb2.ProduceResponse(offset=next(self._offsets))

    async def ProduceStream(self, requests, _context):
        """Acknowledge each request of a stream."""
        async for request in requests:
            yield log_pb2.ProduceStreamResponse(
                offset=next(self._offsets), count=len(request.records)
            )


async def ready(reader, writer):
    """Answer a request by HTTP."""
    await reader.readline()
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    await writer.drain()
    writer.close()


async def serve(port, admin):
    """Serve until the process is ended."""
    server = grpc.aio.server()
    log_pb2_grpc.add_LogServiceServicer_to_server(Nothing(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await asyncio.start_server(ready, "127.0.0.1", admin)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve(*sys.argv[1:]))
