"""
The routes of the proxy, found by path and host: the longest path wins, and of those one
for the host; a settings reload makes a new table.
"""

from collections.abc import Callable, Iterable

from service.server.context import RequestContext
from service.server.hosts import host_name
from service.server.routes import Route
from service.settings.proxy import ProxyRoute

__all__ = ["Table"]


class Table:
    """
    Routes by their prefixes.

    Args:
        routes: The settings of each.
        make: Gives the route that answers for one.

    Concurrency:
        Never changes.
    """

    def __init__(
        self, routes: Iterable[ProxyRoute], make: Callable[[ProxyRoute], Route]
    ) -> None:
        self._by_path: dict[str, dict[str, Route]] = {}
        for each in routes:
            prefix = each.path.rstrip("/")
            self._by_path.setdefault(prefix, {})[each.host] = make(each)
        # as deep as the deepest: a long path must not cost more than that
        self._depth = max((path.count("/") for path in self._by_path), default=-1)

    def find(self, ctx: RequestContext) -> Route | None:
        """Return the route of a request, if there is one."""
        if self._depth < 0 or ctx.path[:1] != "/":
            return None
        parts = ctx.path.split("/", self._depth + 1)[: self._depth + 1]
        host: str | None = None
        while parts:
            hosts = self._by_path.get("/".join(parts))
            if hosts is not None:
                if host is None:
                    host = host_name((ctx.raw_header(b"host") or b"").decode("latin-1"))
                route = hosts.get(host) or hosts.get("")
                if route is not None:
                    return route
            parts.pop()
        return None
