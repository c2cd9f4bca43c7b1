"""Predefined handlers: not found, not allowed, redirect, static files, time-out."""

import asyncio
from os import PathLike

from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from service.errors import DeadlineExceeded, MethodNotAllowed, NotFound
from service.server.context import RequestContext
from service.server.delivery import recording_send
from service.server.responses import Response, SentResponse
from service.server.routes import Handler

__all__ = [
    "method_not_allowed",
    "not_found",
    "options",
    "redirect_to",
    "static_files",
    "time_out",
]


async def not_found(ctx: RequestContext) -> Response:
    """404 for whatever is asked."""
    return ctx.write_problem(NotFound("Nothing is at this path."))


async def method_not_allowed(
    ctx: RequestContext, *, allowed: tuple[str, ...]
) -> Response:
    """405 that names the methods there are (RFC 9110 §15.5.6)."""
    error = MethodNotAllowed(
        "This path does not answer the method.", headers={"allow": ", ".join(allowed)}
    )
    return ctx.write_problem(error)


async def options(_ctx: RequestContext, *, allowed: tuple[str, ...]) -> Response:
    """204 that names the methods there are (RFC 9110 §9.3.7)."""
    return Response(status=204, headers={"allow": ", ".join(allowed)})


def redirect_to(location: str, status: int = 307) -> Handler:
    """Return a handler that sends every request to *location*."""

    async def redirect(ctx: RequestContext) -> Response:
        return ctx.redirect(location, status=status)

    return redirect


def static_files(directory: str | PathLike[str]) -> Handler:
    """
    Return a handler of the files below *directory*.

    Its route ends in `{path:path}`. Types, `ETag`, `304`, ranges and the refusal of
    paths that lead out of the folder are Starlette's.
    """
    files = StaticFiles(directory=directory)

    async def static(ctx: RequestContext) -> Response:
        path = files.get_path({"path": "/" + ctx.path_params["path"], "root_path": ""})
        try:
            response = await files.get_response(path, ctx.scope)
        except HTTPException as error:
            return ctx.write_status(error.status_code)
        # kept and asked about anew, else the tags would be of no use
        response.headers.setdefault("cache-control", "no-cache")
        await response(ctx.scope, ctx.receive, recording_send(ctx))
        return SentResponse(status=ctx.status)

    return static


def time_out(handler: Handler, *, seconds: float, detail: str = "Too slow.") -> Handler:
    """
    Return *handler* with a time-out of its own: 504 and cancelled after *seconds*.

    Args:
        handler: What to run.
        seconds: How long it may take, > 0.
        detail: What the client is told.
    """

    async def limited(ctx: RequestContext) -> Response:
        try:
            async with asyncio.timeout(seconds) as limit:
                return await handler(ctx)
        except TimeoutError:
            if not limit.expired():
                raise
            raise DeadlineExceeded(detail) from None

    return limited
