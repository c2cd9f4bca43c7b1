"""
The service with one FastAPI route more, `/typed`, which answers as the peers' do.

`python -m tests.bench.typed_service serve …` takes what `python -m service` takes.
"""

from service import app, cli
from service.server.typed_routes import TypedRoutes
from tests.bench.peers.typed import version

create_service = app.create_service


def create_typed_service(store, **options):
    """Return the service with the route."""
    service = create_service(store, **options)
    typed = TypedRoutes(title="bench", version="1", openapi_url=None)
    typed.api.get("/typed")(version)
    service.app.add(*typed.routes())
    return service


if __name__ == "__main__":
    app.create_service = create_typed_service  # service.running asks the module
    cli.main()
