"""The part that opens the streams, each a log of its own, and closes them last."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from typing_extensions import override

from service.commitlog import (
    Acknowledge,
    CommitLog,
    Compression,
    MemoryLog,
    Policy,
    SegmentLog,
)
from service.commitlog.errors import CommitLogError, LogDamaged, LogLocked, raise_kept
from service.errors import StartError
from service.observability.commitlog_metrics import CommitLogMetrics
from service.observability.logging import get_logger
from service.settings.log_service import LogPolicySettings, LogServiceSettings

__all__ = ["Streams", "policy_of"]


def policy_of(settings: LogPolicySettings) -> Policy:
    """Return how a stream is kept, by the settings."""
    values: dict[str, Any] = settings.model_dump()
    values["acknowledge"] = Acknowledge(settings.acknowledge)
    values["compression"] = Compression[settings.compression.upper()]
    return Policy(**values)


class Streams(Mapping[str, CommitLog]):
    """
    The logs by the name of their stream; there are some between `start` and `stop`.

    Args:
        settings: What they are; a function, for secrets that change.
        metrics: Where they are measured.

    Attributes:
        metrics: The same.

    Concurrency:
        For the main event loop.
    """

    name = "log_streams"

    def __init__(
        self, settings: Callable[[], LogServiceSettings], *, metrics: CommitLogMetrics
    ) -> None:
        self._now = settings
        self._settings = settings()
        self.metrics = metrics
        self._logs: dict[str, CommitLog] = {}
        self._close = AsyncExitStack()
        self._log = get_logger("httpserver.log_service")

    @override
    def __getitem__(self, name: str) -> CommitLog:
        return self._logs[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._settings.streams)

    @override
    def __len__(self) -> int:
        return len(self._settings.streams)

    async def start(self) -> None:
        """
        Open all of them.

        Raises:
            StartError: One can't be opened; none is open then.
        """
        try:
            for name in self._settings.streams:
                self._logs[name] = await self._open(name)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Commit what waits, and close all of them."""
        await self._close.aclose()

    async def check(self) -> None:
        """
        Return when all of them take records.

        Raises:
            CommitLogError: Why one does not.
        """
        for log in self._logs.values():
            raise_kept(getattr(log, "refused", None))

    async def _open(self, name: str) -> CommitLog:
        policy = policy_of(self._settings.policy)
        if self._settings.store == "memory":
            memory = MemoryLog(policy)
            self._close.push_async_callback(memory.close)
            self._measure(name, memory)
            return memory
        if self._settings.store == "jetstream":
            return await self._open_jetstream(name, policy)
        directory = Path(self._settings.directory) / name
        log = await _opened(directory, policy)
        self._close.push_async_callback(log.close)
        self._measure(name, log, **_of_files(log))
        self._tell(name, log)
        return log

    async def _open_jetstream(self, name: str, policy: Policy) -> CommitLog:
        # the client of NATS is for those who use it
        from service.log_service.jetstream import open_stream

        log = await open_stream(name, lambda: self._now().jetstream, policy)
        self._close.push_async_callback(log.close)
        self._measure(
            name,
            log,
            bytes=lambda: log.size_bytes,
            refused=lambda: log.refused is not None,
            unreachable=lambda: log.unreachable,
        )
        lowest, end = log.offsets()
        self._log.info("stream_opened", stream=name, lowest=lowest, next=end)
        return log

    def _measure(self, name: str, log: CommitLog, **more: Callable[[], float]) -> None:
        values: dict[str, Callable[[], float]] = {
            "lowest": lambda: log.offsets().lowest,
            "next": lambda: log.offsets().next,
        }
        self.metrics.follow(name, {**values, **more})

    def _tell(self, name: str, log: SegmentLog) -> None:
        lowest, end = log.offsets()
        self._log.info("stream_opened", stream=name, lowest=lowest, next=end)
        if log.recovery.torn_bytes:
            self._log.warning(
                "stream_tail_torn",
                stream=name,
                bytes=log.recovery.torn_bytes,
                files=[str(path) for path in log.recovery.torn_files],
            )


async def _opened(directory: Path, policy: Policy) -> SegmentLog:
    """Open a segment log, or say in one sentence why that can't be."""
    try:
        return await SegmentLog.open(directory, policy)
    except LogLocked as error:
        reason = f"{directory}: another process writes to it; a stream has one writer"
        raise StartError(reason) from error
    except LogDamaged as error:
        reason = f"{error}; see `httpserver log verify {directory}`"
        raise StartError(reason) from error
    except CommitLogError as error:
        raise StartError(f"{directory}: {error}") from error
    except OSError as error:
        raise StartError(f"{directory}: {error.strerror or error}") from error


def _of_files(log: SegmentLog) -> dict[str, Callable[[], float]]:
    return {
        "bytes": lambda: log.size_bytes,
        "segments": lambda: log.segment_count,
        "refused": lambda: log.refused is not None,
        "torn": lambda: log.recovery.torn_bytes,
    }
