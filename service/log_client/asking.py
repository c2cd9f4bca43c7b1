"""
A call with one answer: tried again within its deadline, and honest about its outcome.

What a produce came to may stay unknown although its last attempt never left: an
earlier one may have been taken. So what is known is kept through all attempts.
"""

from functools import partial
from typing import Any

from service.commitlog.errors import CommitLogError, LogUnreachable
from service.log_client.calling import Calling, Flight
from service.log_client.errors import told
from service.resilience.retry import Retry
from service.resilience.timeout import DeadlineExceeded, remaining, timeout

__all__ = ["Asking"]


class Asking:
    """
    Calls with one answer.

    Args:
        calling: Makes attempts.
        deadline: Seconds that a call may take, attempts included.
        retry: Attempts of a call.
        produces: Whether the calls store something.

    Concurrency:
        For one event loop, any number of tasks.
    """

    def __init__(
        self, calling: Calling, *, deadline: float, retry: Retry, produces: bool = False
    ) -> None:
        self._calling, self._retry = calling, retry
        self._deadline, self._produces = deadline, produces

    async def call(self, name: str, request: Any) -> Any:
        """
        Return the answer.

        Args:
            name: Of the method.
            request: Its message.

        Raises:
            OutcomeUnknown: It may be done.
            CommitLogError: It is not done.
        """
        flight = Flight()
        try:
            async with timeout(self._deadline):
                once = partial(self._once, name, request, flight)
                return await self._retry.call(once)
        except DeadlineExceeded as error:
            late = LogUnreachable(f"no answer within {self._deadline:g} s")
            raise told(late, in_doubt=flight.in_doubt) from error
        except CommitLogError as error:
            raise told(error, in_doubt=flight.in_doubt) from error

    async def _once(self, name: str, request: Any, flight: Flight) -> Any:
        async with self._calling.line(flight, produces=self._produces) as line:
            call = getattr(line.stub, name)
            return await call(request, timeout=remaining(), metadata=line.metadata)
