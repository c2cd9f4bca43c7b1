"""A service to attack, and how it takes that."""

import contextlib
import signal
from collections.abc import Iterator

from tests.support.process import ServiceProcess, serving
from tests.support.raw_http import RawConnection
from tests.support.scrape import value

__all__ = [
    "assert_served",
    "assert_unharmed",
    "attacked",
    "closed",
    "refusals",
    "refused",
]

REFUSED = "httpserver_requests_refused_total"
CLOSED = "httpserver_connections_closed_total"


@contextlib.contextmanager
def attacked(**settings: object) -> Iterator[ServiceProcess]:
    """Run the attacked service; neither its overload limit nor its demo delay act."""
    with serving(
        module="tests.support.attacked_service",
        **{
            "server__drain_delay": 0,
            "overload__adaptive": "false",
            "overload__max_in_flight": 0,
            "demo__delay_max": 0,
            **settings,
        },
    ) as running:
        yield running


def assert_unharmed(service: ServiceProcess) -> None:
    """Nothing that clients sent was an error of the service, and it stops cleanly."""
    service.signal(signal.SIGTERM)
    assert service.await_exit() == 0
    bad = [each for each in service.log if each["level"] in ("error", "critical")]
    assert bad == []
    assert service.tail().endswith(" ")  # nothing on stderr


def refused(reason: str) -> str:
    """Return the series that counts requests refused for *reason*."""
    return f'{REFUSED}{{reason="{reason}",server="main"}}'


def closed(reason: str) -> str:
    """Return the series that counts connections ended for *reason*."""
    return f'{CLOSED}{{reason="{reason}",server="main"}}'


def refusals(service: ServiceProcess, reason: str) -> float:
    """Return how many requests were refused for *reason*."""
    return value(service, refused(reason))


def assert_served(service: ServiceProcess, sent: bytes) -> None:
    """*sent* is answered 200 on a new connection."""
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(sent)
        answer = connection.answer()
    assert answer.status == 200, answer
