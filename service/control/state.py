"""
What an operator has changed, as one immutable value.

The admin port runs on a thread of its own and worker processes are processes of their
own: a value that is swapped whole needs no lock to be read, and as JSON it is the file
that the parent leaves for its workers. Ends are wall-clock times (seconds since the
epoch), because a monotonic clock means nothing to another process.
"""

from fnmatch import fnmatchcase
from typing import Annotated, Self

from pydantic import Field, model_validator

from service.control.delays import Delay, Document
from service.server.context import RequestContext
from service.settings import LogLevel

__all__ = [
    "ControlState",
    "Fault",
    "FaultRule",
    "HeaderMatch",
    "LevelOverride",
    "ReadinessOff",
    "Scope",
]

Name = Annotated[str, Field(min_length=1, max_length=200)]
Method = Annotated[str, Field(pattern=r"^[A-Z]{1,16}$")]


class HeaderMatch(Document):
    """A request header; without `value` it is enough that it is there."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
    value: Annotated[str, Field(max_length=1000)] | None = None


class Scope(Document):
    """
    Which requests a fault may hit.

    Attributes:
        route: Glob over the route's template, such as `/user/*`; `*` matches slashes
            too, and alone also what no route takes.
        methods: Methods; none is all.
        header: Header that the request must have.
    """

    route: Name = "*"
    methods: Annotated[tuple[Method, ...], Field(max_length=16)] = ()
    header: HeaderMatch | None = None

    def takes(self, ctx: RequestContext) -> bool:
        """Whether the request is one of those."""
        if self.methods and ctx.method not in self.methods:
            return False
        # a template may hold brackets, which a glob would take for its own
        if self.route != ctx.route and not fnmatchcase(ctx.route, self.route):
            return False
        return self.header is None or _has(ctx, self.header)


def _has(ctx: RequestContext, wanted: HeaderMatch) -> bool:
    found = ctx.raw_header(wanted.name.lower().encode())
    if found is None or wanted.value is None:
        return found is not None
    return found == wanted.value.encode()


class FaultRule(Document):
    """
    What a fault does, to how many of which requests.

    Attributes:
        rate: Share of the requests in scope, 0 to 1.
        status: Answered instead of the handler's answer.
        abort: Cut the connection instead of answering.
        delay: Wait before that, or before the handler.
        scope: Which requests.
        seed: Makes the choices the same in each run.
    """

    rate: Annotated[float, Field(ge=0, le=1)] = 1.0
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    abort: bool = False
    delay: Delay | None = None
    scope: Scope = Scope()
    seed: int | None = None

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.status is None and not self.abort and self.delay is None:
            raise ValueError("a fault needs status, abort or delay")
        if self.status is not None and self.abort:
            raise ValueError("status and abort exclude each other")
        return self


class Fault(FaultRule):
    """A rule in force: its id, and when it ends."""

    id: str
    expires_at: float


class ReadinessOff(Document):
    """The service is not ready because an operator says so."""

    reason: str
    expires_at: float | None = None


class LevelOverride(Document):
    """Log levels that win over the settings."""

    level: LogLevel | None = None
    loggers: dict[str, LogLevel] = Field(default_factory=dict)
    expires_at: float | None = None


class ControlState(Document):
    """
    Everything that an operator has changed.

    Attributes:
        readiness: Set while the service is switched off.
        faults: Faults in force, the oldest first.
        levels: Log levels in force.
        reloads: Reloads that were asked for; workers follow when it rises.
    """

    readiness: ReadinessOff | None = None
    faults: tuple[Fault, ...] = ()
    levels: LevelOverride | None = None
    reloads: int = 0

    def at(self, now: float) -> Self:
        """
        Return what is left of it at *now*, itself if nothing is over.

        Args:
            now: Seconds since the epoch.
        """
        faults = tuple(each for each in self.faults if each.expires_at > now)
        left = {
            "faults": faults,
            "readiness": _left(self.readiness, now),
            "levels": _left(self.levels, now),
        }
        if all(getattr(self, name) == value for name, value in left.items()):
            return self
        return self.model_copy(update=left)


def _left(
    each: ReadinessOff | LevelOverride | None, now: float
) -> ReadinessOff | LevelOverride | None:
    if each is None or each.expires_at is None or each.expires_at > now:
        return each
    return None
