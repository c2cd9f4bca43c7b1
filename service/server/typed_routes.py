"""
FastAPI's typed routes on our route tree.

Decorators, dependencies, response models and OpenAPI stay FastAPI's; only the search
for the route is ours: each of FastAPI's routes becomes an entry of the tree, and the
entry found is handed to FastAPI's middleware stack as the one route to run. FastAPI's
own router would try every route in turn.
"""

import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import AsyncExitStack
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.responses import Response as StarletteResponse
from starlette.routing import BaseRoute, Match, Mount, Route
from typing_extensions import override

from service.errors import FAILED, RequestError
from service.server.context import RequestContext
from service.server.delivery import recording_send
from service.server.responses import Response, SentResponse, problem
from service.server.route_templates import split_template
from service.server.route_tree import ANY
from service.server.routes import Route as CoreRoute
from service.server.typed_bodies import (
    BodyModel,
    RefusedBody,
    checked_receive,
    unprocessable,
)

__all__ = ["Context", "TypedRouter", "TypedRoutes", "current_context"]

TypedRouter = APIRouter
"""What a feature hands over its typed routes in."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

_Handlers = tuple[dict[Any, Any], dict[int, Any]]
"""Exception handlers by class and by status, as Starlette keeps them in the scope."""

_CONTEXT = "httpserver.context"
_SELECTED = "httpserver.selected"


async def current_context(request: Request) -> RequestContext:
    """Return the request context: the dependency for FastAPI handlers."""
    ctx: RequestContext = request.scope[_CONTEXT]
    return ctx


Context = Annotated[RequestContext, Depends(current_context)]
"""Annotation of a FastAPI handler's parameter that wants the request context."""


class TypedRoutes:
    """
    A FastAPI application whose routes live in our tree.

    Attributes:
        api: The FastAPI application: decorate, include routers, mount as ever.
    """

    def __init__(self, *, title: str, version: str, **options: Any) -> None:
        self.api = FastAPI(title=title, version=version, **options)
        self.api.router.routes.insert(0, _Selected())
        self._handlers: _Handlers | None = None
        self._parts: dict[int, str] = {}
        for kind, handler in (
            (RequestError, _on_request_error),
            (RefusedBody, _on_refused_body),
            (HTTPException, _on_http_exception),
            (RequestValidationError, _on_validation_error),
            (Exception, _on_exception),
        ):
            self.api.add_exception_handler(kind, handler)

    def include(self, router: TypedRouter, *, part: str) -> None:
        """
        Add the routes of a feature.

        Args:
            router: Has them.
            part: Name of the feature, which a bulkhead may bound.
        """
        self.api.include_router(router, tags=[part])
        self._parts |= {id(route): part for route in router.routes}

    def routes(self) -> Iterator[CoreRoute]:
        """Yield an entry for the tree for each of FastAPI's routes as they are now."""
        for context in iter_route_contexts(self.api.routes):
            route = context.original_route
            if isinstance(route, Mount):
                for path in (f"{context.path}/{{path:path}}", context.path or "/"):
                    yield self._entry(path, (ANY,), context)
            elif isinstance(route, Route):
                methods = tuple(sorted(context.methods or {"GET"}))
                yield self._entry(_template(context), methods, context)

    def describe(self, routes: list[CoreRoute]) -> None:
        """Add core *routes* that carry a summary to the OpenAPI document."""
        original = self.api.openapi

        def openapi() -> dict[str, Any]:
            document = original()
            for route in routes:
                if route.summary:
                    _describe(document, route)
            return document

        self.api.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it

    def _entry(
        self, path: str, methods: tuple[str, ...], context: RouteContext
    ) -> CoreRoute:
        model = BodyModel.of(context)
        mounted = isinstance(context.original_route, Mount)

        async def typed(ctx: RequestContext) -> Response:
            scope, receive = ctx.scope, checked_receive(ctx, model)
            scope[_CONTEXT] = ctx
            try:
                handlers = None if mounted else self._short_way()
                if handlers is None:
                    scope[_SELECTED] = context
                    await self.api(scope, receive, recording_send(ctx))
                else:
                    scope["starlette.exception_handlers"] = handlers
                    await self._run(context, ctx, receive)
            finally:
                del scope[_CONTEXT]  # a circle, which only the garbage collector ends
            return SentResponse(status=ctx.status)

        part = self._parts.get(id(context.original_route), "")
        return CoreRoute(path=path, methods=methods, handler=typed, part=part)

    async def _run(
        self, context: RouteContext, ctx: RequestContext, receive: Receive
    ) -> None:
        """Run one route as FastAPI's stack would."""
        scope = ctx.scope
        scope["app"], scope["router"] = self.api, self.api.router
        _select(scope, context)
        async with AsyncExitStack() as files:
            scope["fastapi_middleware_astack"] = files
            await context.app(scope, receive, recording_send(ctx))

    def _short_way(self) -> _Handlers | None:
        """
        Return the exception handlers for a route that runs without FastAPI's stack.

        Its layers of middleware catch what our own filters catch, limit what is
        limited, and look for a telemetry that is not there, for a good part of a small
        request. They are needed where an application has added to them; None then.
        """
        api = self.api
        ours = api.exception_handlers.get(Exception) == _on_exception
        # 500 is Starlette's other name for what answers a failure
        if api.user_middleware or not ours or 500 in api.exception_handlers:  # noqa: PLR2004 - its name
            return None
        if self._handlers is None:
            by_status: dict[int, Any] = {}
            by_class: dict[Any, Any] = {}
            for key, handler in api.exception_handlers.items():
                if isinstance(key, int):
                    by_status[key] = handler
                elif key is not Exception:
                    by_class[key] = handler
            self._handlers = by_class, by_status
        return self._handlers


class _Selected(BaseRoute):
    """FastAPI's first route: matches when the tree has found one, and runs that."""

    @override
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.FULL if _SELECTED in scope else Match.NONE), {}

    @override
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        context: RouteContext = scope.pop(_SELECTED)
        if isinstance(context.original_route, Mount):
            scope.update(context.matches(scope)[1])
            await context.handle(scope, receive, send)
            return
        _select(scope, context)
        await context.app(scope, receive, send)


def _select(scope: Scope, context: RouteContext) -> None:
    """Note in *scope* what FastAPI's router would have found."""
    params = scope[_CONTEXT].path_params
    convertors = context.param_convertors
    scope["path_params"] = {
        name: convertors[name].convert(value) for name, value in params.items()
    }
    scope["endpoint"] = context.endpoint
    scope["route"] = context.original_route


def _template(context: RouteContext) -> str:
    """
    Return the tree's template of a route.

    A path parameter that must match a whole `pattern` is a pattern of the tree: what
    does not match is another path, so it is not found instead of found wrong.
    """
    template = context.path or "/"
    dependant = getattr(context, "dependant", None)
    for each in dependant.path_params if dependant else ():
        for bound in each.field_info.metadata:
            pattern = getattr(bound, "pattern", None) or ""
            if pattern.startswith("^") and pattern.endswith("$"):
                plain = f"{{{each.alias}}}"
                template = template.replace(plain, f"{{{each.alias}:{pattern[1:-1]}}}")
    return template


def _describe(document: dict[str, Any], route: CoreRoute) -> None:
    """Add one core route to an OpenAPI document."""
    parameters, path = [], ""
    for segment in split_template(route.path):
        name, _, pattern = segment.strip("{}").partition(":")
        if segment.startswith("{"):
            schema = {"type": "string"}
            if pattern not in ("", "path"):
                schema["pattern"] = f"^{pattern}$"
            parameters.append(
                {"name": name, "in": "path", "required": True, "schema": schema}
            )
        path += "/" + (f"{{{name}}}" if segment.startswith("{") else segment)
    for method in route.methods:
        slug = re.sub(r"\W+", "_", path).strip("_") or "root"
        document["paths"].setdefault(path, {})[method.lower()] = {
            "summary": route.summary,
            "operationId": f"{slug}_{method.lower()}",
            "parameters": parameters,
            "responses": {"200": {"description": "Successful Response"}},
        }


def _as_starlette(request: Request, error: RequestError) -> StarletteResponse:
    ctx: RequestContext = request.scope[_CONTEXT]
    answer = problem(error, instance=ctx.request_id or None)
    response = StarletteResponse(answer.body, status_code=answer.status)
    response.raw_headers = [
        (b"content-length", b"%d" % len(answer.body)),
        *answer.headers,
    ]
    return response


async def _on_request_error(request: Request, error: Any) -> StarletteResponse:
    return _as_starlette(request, error)


async def _on_refused_body(request: Request, refused: Any) -> StarletteResponse:
    return _as_starlette(request, refused.error)


async def _on_http_exception(request: Request, error: Any) -> StarletteResponse:
    detail = error.detail if isinstance(error.detail, str) else None
    told = RequestError(detail, status=error.status_code, headers=error.headers)
    return _as_starlette(request, told)


async def _on_validation_error(request: Request, error: Any) -> StarletteResponse:
    """Tell what is wrong and where; what the client sent is not echoed."""
    return _as_starlette(request, unprocessable(error.errors()))


async def _on_exception(request: Request, _error: Exception) -> StarletteResponse:
    """Answer for a handler that failed; the failure itself goes on, to the log."""
    return _as_starlette(request, RequestError(FAILED, status=500))
