"""
Records into the log, once for each idempotency key.

An append goes on when its client leaves, or has waited for too long: the key then leads
to what became of it. Keys are kept in this process. Over JetStream they also name the
records, so that the servers know them again: after a restart, after a failure that left
doubt, or in another pod, for as long as the duplicate window is.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence

from service.commitlog import CommitLog, Record
from service.commitlog.jetstream_message import with_message_id
from service.log_api.errors import CallRefused, Reason
from service.log_service.access import Action, Caller
from service.log_service.producing import store
from service.log_service.servicer import Observe
from service.server.context import RequestContext
from service.server.idempotency import Idempotency, Outcome, read_key
from service.settings.log_service import LogServiceSettings

__all__ = ["Appending"]


class Appending:
    """
    Appends for requests.

    Args:
        settings: Gives the settings as they are now.
        observe: Told how many records were taken.

    Concurrency:
        For the main event loop.
    """

    def __init__(
        self, settings: Callable[[], LogServiceSettings], *, observe: Observe
    ) -> None:
        self._settings = settings
        self._observe = observe
        self._under_way: set[asyncio.Task[Outcome[int]]] = set()
        self._keys = Idempotency[int](
            ttl=lambda: settings().http.idempotency_seconds,
            max_keys=lambda: settings().http.idempotency_keys,
        )

    async def append(
        self,
        ctx: RequestContext,
        caller: Caller,
        to: tuple[str, CommitLog],
        records: Sequence[Record],
    ) -> Outcome[int]:
        """
        Append *records*; return the offset of the first, of now or of before.

        Args:
            ctx: The request, whose body was read.
            caller: Whose keys count.
            to: Name of the stream, and its log.
            records: At least one.

        Raises:
            CommitLogError: Why not; `TIMED_OUT` when nobody knows yet.
            RequestError: The idempotency key is of another request, or under way.
        """
        stream, log = to
        digest = hashlib.sha256(await ctx.read_body()).digest()
        user = caller.subjects[0] if caller.subjects else ""
        if (key := read_key(ctx)) and self._settings().store == "jetstream":
            records = _named(records, f"{user}\0{key}\0{digest.hex()}")

        async def work() -> int:
            offset = await store(log, records)
            self._observe(stream, Action.PRODUCE, len(records))
            return offset

        once = self._keys.once(ctx, work, fingerprint=digest, user=user)
        task = asyncio.ensure_future(once)
        self._under_way.add(task)
        task.add_done_callback(self._done)
        try:
            async with asyncio.timeout(self._settings().limits.timeout):
                return await asyncio.shield(task)
        except TimeoutError:
            raise CallRefused(Reason.TIMED_OUT) from None

    def _done(self, task: asyncio.Task[Outcome[int]]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be left to take it


def _named(records: Sequence[Record], request: str) -> list[Record]:
    """Return *records* with ids that are those of the same request each time."""
    digest = hashlib.sha256(request.encode()).hexdigest()
    return [
        with_message_id(record, f"{digest}-{number}")
        for number, record in enumerate(records)
    ]
