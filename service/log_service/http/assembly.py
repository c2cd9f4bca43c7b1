"""The log by HTTP, put together for the log that the gRPC service serves."""

from collections.abc import Callable

from service.feature import Feature
from service.log_service.access import Access
from service.log_service.allowance import Allowance
from service.log_service.http.api import LogApi, largest_body
from service.log_service.http.appending import Appending
from service.log_service.http.callers import Callers
from service.log_service.http.following import Followers
from service.log_service.http.page import LogPage
from service.log_service.http.served import Served
from service.log_service.streams import Streams
from service.settings.log_service import LogServiceSettings

__all__ = ["log_http"]

_KEPT_FOR = 86_400
"""Seconds that a record may be kept by caches: it never changes, and goes one day."""


def log_http(
    streams: Streams, *, settings: Callable[[], LogServiceSettings], access: Access
) -> Feature:
    """
    Return the routes, and the part that ends streams of events.

    Args:
        streams: The logs.
        settings: Gives the settings as they are now.
        access: Who may do what.
    """
    metrics = streams.metrics
    allowance = Allowance(lambda: settings().limits)
    callers = Callers(streams, access=access, allowance=allowance)
    appending = Appending(settings, observe=metrics.moved)
    followers = Followers(lambda: settings().http, metrics=metrics)
    served = Served(callers, appending, metrics.moved, metrics.refused)
    api = LogApi(served, followers=followers, caching=_caching(settings()))
    page = LogPage(served, listed=settings().access == "listed")
    most = largest_body(settings().policy.max_batch_bytes)
    return Feature(
        routes=[*api.routes(max_body_bytes=most), *page.routes()], parts=[followers]
    )


def _caching(settings: LogServiceSettings) -> str:
    """Return what caches may do with a record, as `Cache-Control`."""
    if settings.store == "memory":
        return "no-cache"  # after a restart another record has the offset
    scope = "private" if settings.access == "listed" else "public"
    return f"{scope}, max-age={_KEPT_FOR}, immutable"
