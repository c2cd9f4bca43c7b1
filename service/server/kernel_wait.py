"""
How long the first request of a connection lay in the kernel before it was read.

A busy event loop accepts late, one connection per turn, and what waits to be accepted
is seen by nobody but the kernel: a service that is driven over its capacity by new
connections looks idle from within. Linux tells when the last data came.

Source: `tcpi_last_data_recv` of tcp_info(7), linux/tcp.h
"""

import asyncio
import contextlib
import socket
import struct
import sys

__all__ = ["kernel_wait"]

_LAST_DATA_RECV = struct.Struct("=52xI")
"""8 bytes, eleven numbers of 4 bytes, and then the milliseconds."""


def kernel_wait(transport: asyncio.BaseTransport) -> float:
    """
    Return the seconds since the last data came; 0.0 where nobody knows.

    Args:
        transport: A connection, TLS or not.
    """
    if sys.platform == "linux":
        sock = transport.get_extra_info("socket")
        with contextlib.suppress(OSError, AttributeError, struct.error):
            size = _LAST_DATA_RECV.size
            told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, size)
            milliseconds: int = _LAST_DATA_RECV.unpack(told)[0]
            return milliseconds / 1000
    return 0.0
