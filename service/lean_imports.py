"""
Imports that cost what is used and no more: most of the way from start to ready is
imports, and libraries do more of it than a service has use for.

All of that stands here; the modules that are imported need not know of it.
"""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["lean_imports"]

_UNUSED = (
    # structlog would colour tracebacks; greenlets, which it heeds, SQLAlchemy needs
    "colorama",
    "rich",
    # FastAPI asks of each annotation whether it is pydantic's of yore, to refuse it
    "pydantic.v1",
    # uvicorn would start anew when a file changes; we do not, and look ourselves
    "watchfiles",
)
"""Modules that some import if they are there, and do as well without."""


@contextmanager
def lean_imports() -> Iterator[None]:
    """
    Import, and put together, without what takes its time and is not needed.

    - Modules that nobody here uses are not found; afterwards they are, by whoever wants
      them.
    - Models of pydantic are built when they are first used: FastAPI defines dozens that
      describe OpenAPI, for a document that is seldom asked for.
    - pydantic's plugins, sought in the metadata of every package, are left alone where
      the environment says nothing of them.
    - No garbage is collected. What was made stays until the end, and is left out of
      all later collections: there is next to no garbage in it.

    Concurrency:
        It changes the whole process for the while; for the start alone.
    """
    from pydantic import BaseModel

    variable = "PYDANTIC_DISABLE_PLUGINS"
    hidden = [name for name in _UNUSED if name not in sys.modules]
    told = variable in os.environ
    usual = BaseModel.model_config
    sys.modules |= dict.fromkeys(hidden)  # type: ignore[arg-type]  # None is Python's own way to say so
    BaseModel.model_config = {**usual, "defer_build": True}
    os.environ.setdefault(variable, "__all__")
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        if not told:
            del os.environ[variable]
        BaseModel.model_config = usual
        for name in hidden:
            del sys.modules[name]
