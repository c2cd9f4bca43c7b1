"""
Imports that cost what is used and no more: most of the way from start to ready is
imports, and libraries do more of it than a service has use for.

All of that stands here; the modules that are imported need not know of it.
"""

import gc
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

__all__ = ["lean_imports"]

_WITHOUT = {
    # it would colour tracebacks, and heed greenlets: there are none here
    "structlog": ("colorama", "greenlet", "rich"),
    # its command line would start anew when a file changes
    "uvicorn": ("watchfiles",),
}
"""Libraries, and what they import if it is there, and do as well without."""

_PLUGINS = "PYDANTIC_DISABLE_PLUGINS"
"""Variable by which pydantic leaves plugins alone."""


@contextmanager
def lean_imports() -> Iterator[None]:
    """
    Import, and put together, without what takes its time and is not needed.

    - Some libraries do not find what they would use only elsewhere.
    - FastAPI, which asks of each annotation whether it is pydantic's of yore to refuse
      it, does not import that for the question; nor can anybody else meanwhile.
    - Models of pydantic are built when they are first used: FastAPI defines dozens that
      describe OpenAPI, for a document that is seldom asked for.
    - pydantic's plugins, sought in the metadata of every package, are left alone where
      the environment says nothing of them.
    - No garbage is collected. What was made stays until the end, and is left out of
      all later collections: there is next to no garbage in it.

    Concurrency:
        It changes the whole process for the while; for the start alone.
    """
    gc.disable()
    try:
        for name, unused in _WITHOUT.items():
            with _hidden(*unused):
                import_module(name)
        with _hidden("pydantic.v1"), _models_built_late(), _no_plugins():
            yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def _hidden(*names: str) -> Iterator[None]:
    """Let modules that nobody has imported yet not be found."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules |= dict.fromkeys(hidden)  # type: ignore[arg-type]  # None is Python's own way to say so
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def _models_built_late() -> Iterator[None]:
    from pydantic import BaseModel
    from pydantic.warnings import UnsupportedFieldAttributeWarning

    # FastAPI ignores it where it defines its fields; here they are built after that
    warnings.simplefilter("ignore", UnsupportedFieldAttributeWarning)
    usual = BaseModel.model_config
    BaseModel.model_config = {**usual, "defer_build": True}
    try:
        yield
    finally:
        BaseModel.model_config = usual


@contextmanager
def _no_plugins() -> Iterator[None]:
    told = _PLUGINS in os.environ
    os.environ.setdefault(_PLUGINS, "__all__")
    try:
        yield
    finally:
        if not told:
            del os.environ[_PLUGINS]
