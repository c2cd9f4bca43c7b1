"""The patterns are a library: whoever imports one gets no framework with it."""

import subprocess
import sys
from pathlib import Path

import pytest

import service.concurrency
import service.resilience

FOREIGN = {"fastapi", "starlette", "uvicorn", "pydantic", "prometheus_client"}
FOREIGN |= {"structlog", "opentelemetry", "httpx2", "redis"}

MODULES = [
    f"{package.__name__}.{file.stem}"
    for package in (service.resilience, service.concurrency)
    for file in sorted(Path(package.__path__[0]).glob("*.py"))
    if file.stem not in ("__init__", "shared_throttle")  # needs its store
]

PATTERNS = (
    *("circuit_breaker", "debounce", "retry", "throttle", "timeout"),
    *("load_shedding", "bulkhead", "hedge", "fallback"),
)


def test_there_is_a_module_for_each_pattern():
    """By the name that people look for."""
    assert {f"service.resilience.{each}" for each in PATTERNS} <= set(MODULES)


@pytest.mark.parametrize("modules", [MODULES], ids=["all"])
def test_patterns_load_no_framework(modules):
    """Nor anything of ours but themselves."""
    script = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = done.stdout.split()
    ours = {name for name in loaded if name.startswith("service.")}

    assert FOREIGN.isdisjoint(loaded)
    assert ours == {*modules, "service.resilience", "service.concurrency"}
