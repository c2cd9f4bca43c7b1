"""What a feature hands to the server: its routes with their core handlers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from service.server.context import RequestContext
from service.server.priority import Priority
from service.server.responses import Response

__all__ = ["ANY_METHOD", "Handler", "Lookup", "Route"]

Handler = Callable[[RequestContext], Awaitable[Response]]
"""A core handler: a context in, an answer out."""

ANY_METHOD = ("GET", "POST", "PUT", "PATCH", "DELETE")
"""Methods of a route that answers any; HEAD and OPTIONS come by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    A core handler at a path.

    Attributes:
        path: Template: `/static`, `/{param}`, `/{id:[0-9]+}`, `/{path:path}`.
        handler: What answers.
        methods: Methods it answers, upper case; GET brings HEAD with it.
        summary: One line for the OpenAPI document; empty keeps the route out of it.
        probe: A probe or scrape: kept out of the access log unless asked for.
        priority: Under overload, low is shed first and high last.
        max_body_bytes: Largest request body; None for the service's own limit.
        part: Name of the part that it belongs to, which a bulkhead may bound; the
            composition root sets it to the feature's name.
        time_limit: Seconds that the handler may take, 0 for any; None for the service's
            own limit.
    """

    path: str
    handler: Handler
    methods: tuple[str, ...] = ("GET",)
    summary: str = ""
    probe: bool = False
    priority: Priority = "normal"
    max_body_bytes: int | None = None
    part: str = ""
    time_limit: float | None = None


Lookup = Callable[[RequestContext], Route | None]
"""Finds the route of a request that the tree has none for: routes that come and go."""
