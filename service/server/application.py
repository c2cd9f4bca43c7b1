"""
The ASGI application of a server: route tree, filter chain and the way a request takes.

    listener -> context -> route tree -> filters, first to last -> handler
             <- delivered answer       <- filters, last to first <-

The tree is asked before the filters run, so that a filter knows the route it works for;
what it finds, or that it finds nothing, is the handler at the end of the chain.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any, Literal
from urllib.parse import quote

from service.server import handlers
from service.server.around import Around, joined
from service.server.context import RequestContext
from service.server.responses import Response
from service.server.route_tree import Match, RouteTree
from service.server.routes import Handler, Lookup, Route

__all__ = ["Application", "Filter"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

Filter = Callable[[RequestContext, Handler], Awaitable[Response]] | Around
"""
Sees a request before and after the rest of the chain: `await following(ctx)` goes on;
returning an answer without it ends the request there. One that awaits nothing of its
own is an `Around`, which costs a fraction.
"""


class Application:
    """
    Core handlers and typed routes behind one filter chain.

    Args:
        filters: The chain, outermost first; one of them is `delivery.deliver`.
        body_limit: Gives the largest body in bytes, asked at each request.
        trailing_slash: What a path with one slash too many or too few gets.
        websocket: ASGI application that takes WebSocket connections.
        lookups: Asked in turn for a route where the tree has none.

    Concurrency:
        Add every route before the first request.
    """

    def __init__(
        self,
        *,
        filters: Sequence[Filter],
        body_limit: Callable[[], int],
        trailing_slash: Literal["redirect", "strict"] = "redirect",
        websocket: ASGIApp | None = None,
        lookups: Sequence[Lookup] = (),
    ) -> None:
        self.routes: list[Route] = []
        self._tree: RouteTree[Route] = RouteTree()
        self._redirects = trailing_slash == "redirect"
        self._body_limit = body_limit
        self._websocket = websocket
        self._lookups = lookups
        self._chain = _compose(filters)

    def add(self, *routes: Route) -> None:
        """
        Add routes.

        Raises:
            RouteTemplateError: A template can't be read.
            RouteConflictError: A route can't be told from one that is there.
        """
        for route in routes:
            for method in route.methods:
                self._tree.add(method, route.path, route)
            self.routes.append(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        ctx = RequestContext(scope, receive, send, body_limit=self._body_limit())
        ctx.handler = self._find(ctx)
        await self._chain(ctx)

    def _find(self, ctx: RequestContext) -> Handler:
        match = self._tree.find(ctx.method, ctx.path)
        if match is None:
            return self._elsewhere(ctx)
        ctx.route, ctx.path_params = match.template, match.params
        if match.value is None:
            return _not_here(ctx, match)
        return _taken(ctx, match.value)

    def _elsewhere(self, ctx: RequestContext) -> Handler:
        """Nothing is at the path: does a lookup know it, or is it a slash away?"""
        for lookup in self._lookups:
            route = lookup(ctx)
            if route is not None:
                ctx.route = route.path
                return _taken(ctx, route)
        path = ctx.path
        if path == "*" and ctx.method == "OPTIONS":
            return partial(handlers.options, allowed=("GET", "HEAD", "OPTIONS"))
        other = path[:-1] if path.endswith("/") else path + "/"
        # "//host" would send the browser to another site
        local = path[:1] == "/" and path[:2] != "//"
        if self._redirects and local and other in self._tree:
            return handlers.redirect_to(_toggled_target(ctx), 308)
        return handlers.not_found

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            if self._websocket is not None:
                await self._websocket(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1000})
            return
        await _acknowledge_lifespan(receive, send)


def _taken(ctx: RequestContext, route: Route) -> Handler:
    """Tell the filters what the route asks for."""
    ctx.probe = route.probe
    ctx.part = route.part
    ctx.priority = route.priority
    ctx.time_limit = route.time_limit
    if route.max_body_bytes is not None:
        ctx.body_limit = route.max_body_bytes
    return route.handler


def _toggled_target(ctx: RequestContext) -> str:
    """Return the request target with the last slash taken off or put on."""
    raw: bytes = ctx.scope.get("raw_path") or quote(ctx.path).encode()
    query: bytes = ctx.scope.get("query_string", b"")
    path = raw[:-1] if raw.endswith(b"/") else raw + b"/"
    return (path + b"?" + query if query else path).decode("latin-1")


def _not_here(ctx: RequestContext, match: Match[Route]) -> Handler:
    """Tell which other methods the path answers."""
    if ctx.method == "OPTIONS":
        return partial(handlers.options, allowed=match.allowed)
    return partial(handlers.method_not_allowed, allowed=match.allowed)


def _compose(filters: Iterable[Filter]) -> Handler:
    """Return one handler that runs *filters* around the route's own handler."""
    chain: Handler = _answer
    for together, group in groupby(reversed(list(filters)), _is_around):
        if together:
            chain = joined([each for each in group if isinstance(each, Around)], chain)
        else:
            for each in group:
                chain = _link(each, chain)
    return chain


def _answer(ctx: RequestContext) -> Awaitable[Response]:
    return ctx.handler(ctx)


def _is_around(each: Filter) -> bool:
    return isinstance(each, Around)


def _link(each: Any, following: Handler) -> Handler:
    return lambda ctx: each(ctx, following)


async def _acknowledge_lifespan(receive: Receive, send: Send) -> None:
    """Start and stop are the lifecycle's business: only answer the protocol."""
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})
