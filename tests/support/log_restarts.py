"""A log service that ends and comes again where it was, as a pod of a StatefulSet."""

import asyncio
import contextlib

from tests.support.log_service import serving_log
from tests.support.programs import free_port

__all__ = ["Restarted"]


class Restarted:
    """A service on one port that is ended and started again."""

    def __init__(self, directory):
        self.directory, self.port = directory, free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._stack = contextlib.ExitStack()
        self.service = None

    async def start(self):
        serving = serving_log(self.directory, port=self.port)
        self.service = await asyncio.to_thread(self._stack.enter_context, serving)

    async def end(self, number):
        self.service.signal(number)
        await asyncio.to_thread(self.service.await_exit)

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *_):
        await asyncio.to_thread(self._stack.close)
