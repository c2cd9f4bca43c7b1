"""What the lifecycle starts and stops, and what it must know of them and of time."""

from typing import Protocol, runtime_checkable

from service.server.ports import Endpoint

__all__ = ["CheckedPart", "MainServer", "Part", "ServingPart", "Timing"]


@runtime_checkable
class Part(Protocol):
    """Something that is started with the service and stopped with it."""

    name: str

    async def start(self) -> None:
        """Come up; raise what makes it impossible."""

    async def stop(self) -> None:
        """Let go of everything."""


@runtime_checkable
class CheckedPart(Part, Protocol):
    """A part that the service is not ready without."""

    async def check(self) -> None:
        """Return when ready; raise the reason when not."""


@runtime_checkable
class ServingPart(Part, Protocol):
    """A part with a listener of its own, which is drained along with the main one."""

    def begin_drain(self) -> None:
        """Keep accepting, and tell clients to go elsewhere."""

    async def finish(self, *, grace: float) -> int:
        """Stop listening, finish within *grace* seconds; return how many were cut."""


class MainServer(Protocol):
    """The server that the lifecycle opens last and closes first."""

    name: str

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where it listens."""

    @property
    def in_flight(self) -> int:
        """Requests that are being answered."""

    def bind(self) -> None:
        """Take the ports; raise `StartError` when they can't be had."""

    async def start(self) -> None:
        """Listen."""

    def begin_drain(self) -> None:
        """Keep accepting, and close each connection after its answer."""

    async def stop(self, *, grace: float) -> int:
        """Stop listening, finish within *grace* seconds; return how many were cut."""


class Timing(Protocol):
    """The settings of the stop, in seconds."""

    @property
    def drain_delay(self) -> float:
        """Seconds of further accepting."""

    @property
    def grace_period(self) -> float:
        """Seconds for requests in flight."""

    @property
    def hard_limit(self) -> float:
        """Seconds from the first signal to the end of the process."""
