"""
The service with one more route, `/block/{seconds}`, which blocks the main event loop.

`python -m tests.support.blocking_service serve …` takes what `python -m service` takes.
"""

import time

from service import app, cli
from service.server.routes import Route

create_service = app.create_service


async def block(ctx):
    """Do what a handler must never do."""
    time.sleep(float(ctx.path_params["seconds"]))
    return ctx.no_content()


def create_blocking_service(store, **options):
    """Return the service with the route."""
    service = create_service(store, **options)
    service.app.add(Route(path="/block/{seconds}", handler=block))
    return service


if __name__ == "__main__":
    app.create_service = create_blocking_service  # service.running asks the module
    cli.main()
