"""
Requests made from the OpenAPI document: no operation answers 5xx, and every answer is
what an HTTP API may say.

The service runs with its short delays; `/status/{code}` is asked for a 5xx now and then
and may give it.
"""

import contextlib
import json
import os

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from tests.support.attack import assert_unharmed, attacked

EXAMPLES = 5
"""Requests of each kind for each operation in the short form."""

SOAK_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "1000"))
"""Requests of each kind for each operation in the soak."""

FAST = {"demo__delay_limit": 0.01}


def run_all(service, examples: int) -> dict[str, int]:
    """Ask each operation of the document; return how often each was asked."""
    document = httpx2.get(f"{service.url}/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    return {
        f"{operation.method.upper()} {operation.path}": sum(
            run(service, operation, mode, examples) for mode in modes(operation)
        )
        for operation in (found.ok() for found in schema.get_all_operations())
    }


def modes(operation) -> list[GenerationMode]:
    """Return how an operation may be asked: wrong only where something can be wrong."""
    return list(GenerationMode) if operation.body else [GenerationMode.POSITIVE]


def run(service, operation, mode: GenerationMode, examples: int) -> int:
    """Ask one operation *examples* times, as its schema says or as it does not."""
    asked = 0

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case) -> None:
        nonlocal asked
        asked += 1
        answer = case.call(base_url=service.url, timeout=60)
        assert_allowed(case, answer)

    with contextlib.suppress(Unsatisfiable):  # nothing of it can be wrong
        ask()
    return asked


def assert_allowed(case, answer) -> None:
    """Nothing but a 5xx that was asked for, and problem+json for what is refused."""
    status = answer.status_code
    if case.path.startswith("/status/"):
        return
    assert status < 500, (case.as_curl_command(), answer.text)
    kind = answer.headers.get("content-type", [""])[0]
    if status >= 400 and case.method != "HEAD":
        assert kind == "application/problem+json", case.as_curl_command()
        assert json.loads(answer.text)["status"] == status
    elif kind == "application/json" and case.method != "HEAD":
        json.loads(answer.text)


def test_no_operation_of_the_openapi_document_answers_5xx():
    """The short form: some requests for each operation, the same in each run."""
    with attacked(**FAST) as service:
        asked = run_all(service, EXAMPLES)

        assert len(asked) >= 15
        assert_unharmed(service)


@pytest.mark.soak
def test_no_operation_answers_5xx_to_thousands_of_requests():
    """The long form."""
    with attacked(**FAST, log__access="false") as service:
        asked = run_all(service, SOAK_EXAMPLES)
        print(json.dumps(asked))  # noqa: T201 - the soak's figures

        assert_unharmed(service)
