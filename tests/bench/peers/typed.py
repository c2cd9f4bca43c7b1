"""
FastAPI, and FastAPI with its usual metrics.

`/version` answers as our `/version` does, `/` after a uniform delay of 0 to 2 s.
"""

import asyncio
import random

from fastapi import FastAPI

from tests.bench.peers.answer import ANSWER


async def version():
    """Answer as our `/version` does."""
    return ANSWER


async def delayed():
    """Answer after the delay."""
    await asyncio.sleep(random.uniform(0, 2))
    return ANSWER


def fastapi():
    """Return FastAPI as its tutorial has it; a factory for uvicorn."""
    app = FastAPI()
    app.get("/version")(version)
    app.get("/")(delayed)
    return app


def instrumented():
    """Return the same with prometheus-fastapi-instrumentator, as its README has it."""
    from prometheus_fastapi_instrumentator import Instrumentator

    app = fastapi()
    Instrumentator().instrument(app).expose(app)
    return app
