"""
The service with three more routes that need the processor: `/burn/{ms}` at once,
`/pieces/{ms}` in pieces of a millisecond, `/urgent/{ms}` as the first and of high
priority.

`python -m tests.support.burning_service serve …` takes what `python -m service` takes.
"""

import asyncio
import time

from service import app, cli
from service.server.routes import Route

create_service = app.create_service


def burn(seconds):
    """Keep the processor busy, whatever else it does."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def burn_at_once(ctx):
    burn(float(ctx.path_params["ms"]) / 1000)
    return ctx.no_content()


async def burn_in_pieces(ctx):
    for _ in range(int(ctx.path_params["ms"])):
        burn(0.001)
        await asyncio.sleep(0)
    return ctx.no_content()


def create_burning_service(store, **options):
    """Return the service with the routes."""
    service = create_service(store, **options)
    service.app.add(
        Route(path="/burn/{ms}", handler=burn_at_once),
        Route(path="/pieces/{ms}", handler=burn_in_pieces),
        Route(path="/urgent/{ms}", handler=burn_at_once, priority="high"),
    )
    return service


if __name__ == "__main__":
    app.create_service = create_burning_service  # service.running asks the module
    cli.main()
