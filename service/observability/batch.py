"""
Metrics of commands that end: nothing can scrape them, so they push to a Pushgateway.

A gateway keeps what was pushed last, so a command tells when it ran and when it
succeeded last, and an alert compares that with the time; a run that fails leaves the
last success as it is.

Source: https://prometheus.io/docs/practices/pushing/
"""

import contextlib
import functools
import re
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from urllib.parse import unquote

from prometheus_client import CollectorRegistry, Gauge, pushadd_to_gateway
from prometheus_client.exposition import basic_auth_handler

__all__ = ["JOB", "measured"]

JOB = "httpserver-batch"
"""Label `job` of everything that commands push; `command` tells them apart."""

TIMEOUT = 5.0
"""Seconds that the gateway may take."""


@contextlib.contextmanager
def measured(
    command: str, *, gateway: str, complain: Callable[[str], None]
) -> Iterator[None]:
    """
    Measure the block as one run of *command*; a block that raises has failed.

    Args:
        command: Name of the command.
        gateway: URL of the Pushgateway; a user and a password in it are sent as basic
            authentication, and shown as little as a query is.
        complain: Told when the gateway can't be reached, which fails no command.
    """
    began = time.monotonic()
    success = False
    try:
        yield
        success = True
    finally:
        registry = _run(time.monotonic() - began, success=success)
        url, user, password = _credentials(gateway)
        try:
            pushadd_to_gateway(
                url,
                job=JOB,
                registry=registry,
                grouping_key={"command": command},
                timeout=TIMEOUT,
                handler=functools.partial(
                    basic_auth_handler, username=user, password=password
                ),
            )
        except (OSError, ValueError, HTTPException) as error:
            complain(f"no metrics were pushed to {_shown(url)}: {_reason(error)}")


def _credentials(gateway: str) -> tuple[str, str | None, str | None]:
    """Return the URL without user and password, and these, unescaped."""
    scheme, separator, rest = gateway.rpartition("://")
    authority, slash, path = rest.partition("/")
    told, at, host = authority.rpartition("@")
    if not at:
        return gateway, None, None
    user, _, password = told.partition(":")
    return scheme + separator + host + slash + path, unquote(user), unquote(password)


def _shown(url: str) -> str:
    """Return *url* without its query, which may hold a token."""
    return re.split(r"[?#]", url, maxsplit=1)[0]


def _reason(error: Exception) -> str:
    """Return what went wrong; of a URL that can't be used it would tell parts."""
    return str(error) if isinstance(error, OSError) else type(error).__name__


def _run(duration: float, *, success: bool) -> CollectorRegistry:
    registry = CollectorRegistry()

    def gauge(name: str, text: str) -> Gauge:
        return Gauge(f"httpserver_batch_{name}", text, registry=registry)

    gauge("duration_seconds", "How long the last run took.").set(duration)
    gauge("success", "1 when the last run succeeded.").set(success)
    last = gauge("last_run_timestamp_seconds", "When the last run ended.")
    last.set_to_current_time()
    if success:
        done = gauge("last_success_timestamp_seconds", "When one succeeded last.")
        done.set_to_current_time()
    return registry
