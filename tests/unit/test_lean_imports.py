"""A start with the defaults imports what it uses, and leaves the process as it was."""

import json
import os
import subprocess
import sys

import pytest

UNUSED_BY_DEFAULT = {
    *("colorama", "rich", "pydantic.v1", "tomllib", "watchfiles", "yaml"),
    *("dns", "grpc", "httpx2", "kubernetes", "nats", "opentelemetry.sdk", "redis"),
    *("asyncpg", "psycopg", "sqlite3", "aiohttp", "boto3", "jinja2", "multipart"),
    *("service.client.client", "service.discovery.assembly", "service.tracing"),
    *("service.top", "service.getting", "service.commitlog"),
}
"""Modules that a service with the defaults has no use for, and that take their time."""

START = """
from service.lean_imports import lean_imports

with lean_imports():
    from service.config import SettingsStore
    from service.settings import Settings

    store = SettingsStore.of(Settings())
    from service import running
with lean_imports():
    built = running.app.create_service(store)
"""
"""What `httpserver serve` does before it listens."""


def run(program: str, **environment: str):
    """Return what *program* prints, as JSON, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        stdout=subprocess.PIPE,
        timeout=60,
        env=os.environ | environment,
    )
    return json.loads(done.stdout)


def test_start_with_the_defaults_imports_nothing_that_is_off():
    """Each would cost every start its time: what is off is imported when it is on."""
    program = f"{START}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    found = set(run(program))

    assert "fastapi" in found
    assert found & UNUSED_BY_DEFAULT == set()


def test_start_leaves_the_process_as_it_was():
    """What was not to be found is found again, and collected is as ever."""
    program = f"""
import gc, json, os, sys
from pydantic import BaseModel
before = [BaseModel.model_config, "PYDANTIC_DISABLE_PLUGINS" in os.environ]
{START}
import pydantic.v1, rich
after = [BaseModel.model_config, "PYDANTIC_DISABLE_PLUGINS" in os.environ]
print(json.dumps([before == after, gc.isenabled(), None in sys.modules.values()]))
"""

    assert run(program) == [True, True, False]


def test_failed_start_leaves_the_process_as_it_was():
    """Settings that can't be used end a start in the middle of it."""
    program = """
import gc, json, sys
from service.lean_imports import lean_imports
try:
    with lean_imports():
        raise ValueError
except ValueError:
    pass
import rich
print(json.dumps([gc.isenabled(), None in sys.modules.values()]))
"""

    assert run(program) == [True, False]


def test_module_hidden_from_a_library_is_found_by_features():
    """The library does without it; a feature that is switched on may need it."""
    program = """
import json, sys
from service.lean_imports import lean_imports
with lean_imports():
    kept = [name for name in ("rich", "watchfiles") if name in sys.modules]
    import rich.console, watchfiles
print(json.dumps([kept, rich is sys.modules["rich"]]))
"""

    assert run(program) == [[], True]


@pytest.mark.parametrize("told", ["", "logfire-plugin"], ids=["none", "one"])
def test_plugins_of_pydantic_are_what_the_environment_says(told: str):
    """Who names plugins to leave out wants the others."""
    program = """
import json, os
from service.lean_imports import lean_imports
with lean_imports():
    print(json.dumps(os.environ["PYDANTIC_DISABLE_PLUGINS"]))
"""

    assert run(program, PYDANTIC_DISABLE_PLUGINS=told) == told


def test_api_is_described_though_its_models_are_built_late():
    """The document of OpenAPI is whole when somebody asks for it after all."""
    program = f"""
{START}
import json
from fastapi.openapi.models import OpenAPI
late = not OpenAPI.__pydantic_complete__
print(json.dumps([late, sorted(built.typed.api.openapi()["paths"])]))
"""
    late, paths = run(program)

    assert late
    assert "/products/{key}" in paths
