"""Files by Starlette's `FileResponse`, from the folder that `BENCH_FILES` names."""

import os

from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Route


async def file(request):
    """Answer with a file."""
    return FileResponse(f"{os.environ['BENCH_FILES']}/{request.path_params['path']}")


def files():
    """Return the application; a factory for uvicorn."""
    return Starlette(routes=[Route("/files/{path}", file)])
