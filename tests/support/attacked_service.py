"""
The service with the routes that attacks are aimed at.

`python -m tests.support.attacked_service serve …` takes what `python -m service` takes.
"""

import asyncio
from typing import Annotated

from fastapi import Body
from pydantic import BaseModel

from service import app, cli
from service.server.responses import Response, StreamResponse
from service.server.routes import Route
from service.server.typed_routes import Context

create_service = app.create_service

LARGE = bytes(20 * 1024 * 1024)


class Item(BaseModel):
    """What `/model` reads."""

    name: str
    amount: float = 0.0


async def read_json(ctx):
    """Read a JSON body strictly."""
    await ctx.read_json()
    return ctx.write_json({"read": True})


async def read_body(ctx):
    """Tell how long the body is."""
    return ctx.write_json({"bytes": len(await ctx.read_body())})


async def leave_body(ctx):
    """Answer without a look at the body."""
    return ctx.write_json({"read": False})


async def large(_ctx):
    """Answer with more than any buffer holds."""
    return Response(LARGE, media_type="application/octet-stream")


async def stream(_ctx):
    """Answer piece by piece without end."""

    async def pieces():
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0.01)

    return StreamResponse(pieces(), media_type="application/octet-stream")


async def flood(_ctx):
    """Answer without end, as fast as the client reads."""

    async def pieces():
        while True:
            yield bytes(65_536)

    return StreamResponse(pieces(), media_type="application/octet-stream")


async def peer(ctx):
    """Tell who the service takes the client for."""
    return ctx.write_json({"client": ctx.client, "scheme": ctx.scheme})


async def catch_all(ctx):
    """Tell the rest of the path."""
    return ctx.write_json({"rest": ctx.path_params["path"]})


async def typed_model(item: Item):
    """Read a model."""
    return {"name": item.name}


async def typed_json(ctx: Context):
    """Read JSON by the context in a FastAPI handler."""
    await ctx.read_json()
    return {"read": True}


async def typed_any(value: Annotated[dict[str, object], Body()]):
    """Read any JSON object."""
    return {"members": len(value)}


ROUTES = [
    Route(path="/json", handler=read_json, methods=("POST",)),
    Route(path="/body", handler=read_body, methods=("POST",)),
    Route(path="/small", handler=read_body, methods=("POST",), max_body_bytes=100),
    Route(path="/wide", handler=read_body, methods=("POST",), max_body_bytes=4 << 20),
    Route(path="/unread", handler=leave_body, methods=("POST",)),
    Route(path="/large", handler=large),
    Route(path="/stream", handler=stream),
    Route(path="/flood", handler=flood),
    Route(path="/peer", handler=peer),
    Route(path="/tree/{path:path}", handler=catch_all),
]


def create_attacked_service(store, **options):
    """Return the service with the routes."""
    service = create_service(store, **options)
    api = service.typed.api
    known = {route.path for route in service.typed.routes()}
    api.post("/typed/model")(typed_model)
    api.post("/typed/json")(typed_json)
    api.post("/typed/any")(typed_any)
    new = [each for each in service.typed.routes() if each.path not in known]
    service.app.add(*ROUTES, *new)
    return service


if __name__ == "__main__":
    app.create_service = create_attacked_service  # service.running asks the module
    cli.main()
