"""What commands that call a service tell when it refuses or does not answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from service.cli.output import complain
from service.client.errors import InvalidRequest, UpstreamError
from service.errors import ServiceError
from service.getting.calling import OtherAnswer, Refused
from service.getting.running import FAILED, NO_ANSWER, WRONG
from service.top.words import plain

__all__ = ["failures", "reason"]

_SERVER_ERROR = 500

_HINTS = {
    401: "it wants credentials: HTTPSERVER_TOKEN, --token-file or -H @FILE",
    403: "these credentials don't allow it",
    404: "nothing is there: is it switched on in the service, and --url its main port?",
    429: "it is asked too much: try again later, or with more --retries",
}
"""What helps, where the service's own words may not."""

_UNREACHED = {
    "certificate": "--ca FILE names the authorities that vouch for it",
    "connect": "is it running, and --url right (http or https, the main port)?",
    "protocol": "is --url right (http or https)?",
}


@contextmanager
def failures(url: str) -> Iterator[None]:
    """
    Tell what comes of calls that fail in the block, and exit with its code.

    Args:
        url: Whom they call.
    """
    try:
        yield
    except InvalidRequest as error:
        _leave(WRONG, plain(str(error)))
    except UpstreamError as error:
        hint = _UNREACHED.get(error.reason, "")
        _leave(NO_ANSWER, f"no answer from {plain(str(error))}", hint)
    except Refused as error:
        _leave(FAILED, f"{url}: {reason(error)}", _hint(error))
    except OtherAnswer as error:
        _leave(FAILED, plain(str(error)), "is --url right?")
    except ServiceError as error:
        _leave(FAILED, plain(str(error)))


def reason(error: Refused) -> str:
    """Return why the service refused, in its words where it has some."""
    told = error.problem
    text = str(told.get("detail") or told.get("title") or "refused")
    wrong = [_field(each) for each in _list(told.get("errors"))]
    if wrong:
        text = f"{text.rstrip('.')}: {'; '.join(wrong)}"
    if error.status >= _SERVER_ERROR and "instance" in told:
        text += f" ({told['instance']})"
    return plain(f"{error.status}: {text}")


def _field(told: Any) -> str:
    if not isinstance(told, dict):
        return str(told)
    place = [str(each) for each in _list(told.get("loc"))][1:]
    return ": ".join([*place[-1:], str(told.get("msg", ""))])


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _hint(error: Refused) -> str:
    if error.location and error.status < 400:  # noqa: PLR2004 - redirects
        return f"it leads to {plain(error.location)}"
    return _HINTS.get(error.status, "")


def _leave(code: int, *lines: str) -> None:
    for line in filter(None, lines):
        complain(line)
    raise typer.Exit(code) from None
