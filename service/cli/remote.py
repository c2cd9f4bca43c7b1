"""
The options of every command that calls a service, and what they come to.

A credential is never an argument, which other users of the machine could read: it comes
from the environment or from a file.
"""

import inspect
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from service.cli.output import complain

if TYPE_CHECKING:
    from service.getting.asking import Ask

__all__ = [
    "CaOption",
    "HostOption",
    "InsecureOption",
    "ResolveOption",
    "TimeOutOption",
    "TokenFileOption",
    "calls",
    "check",
    "credential",
    "read_address",
    "read_header",
    "trace",
    "with_options",
]

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8080"

_MOST_SECRET = 8192

UrlOption = Annotated[
    str,
    typer.Option(
        "--url",
        metavar="URL",
        envvar="HTTPSERVER_URL",
        help="Where the service is; http:// may be left out.",
    ),
]
HeaderOption = Annotated[
    list[str] | None,
    typer.Option(
        "--header",
        "-H",
        metavar="'NAME: VALUE'",
        help="Header, or @FILE with one a line; may be repeated. HTTPSERVER_TOKEN in "
        "the environment is sent as a bearer token.",
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="File of a bearer token, instead of HTTPSERVER_TOKEN."
    ),
]
TimeOutOption = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        min=0.001,
        max=3600,
        help="To connect, until the answer begins, and of silence in it.",
    ),
]
RetriesOption = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=0,
        max=100,
        help="Further attempts where nobody answers, or with 429, 502, 503 or 504; "
        "only of what may safely be done twice.",
    ),
]
CaOption = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        "--cacert",
        metavar="FILE",
        help="Authorities that vouch for an https URL, PEM. Without: the system's.",
    ),
]
InsecureOption = Annotated[
    bool,
    typer.Option(
        "--insecure", help="Believe whoever answers an https URL: for tests alone."
    ),
]
HostOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Ask for this host, in the head and in TLS."),
]
ResolveOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="HOST:PORT:ADDRESS",
        help="Connect to the address where the name is asked for; may be repeated.",
    ),
]


def _ask(
    *,
    url: UrlOption = DEFAULT_URL,
    header_: HeaderOption = None,
    token_file: TokenFileOption = None,
    time_out: TimeOutOption = 30.0,
    retries: RetriesOption = 5,
    ca: CaOption = None,
    insecure: InsecureOption = False,
    host: HostOption = None,
    resolve: ResolveOption = None,
) -> "Ask":
    """Return what all calls of a command have in common."""
    from service.getting.asking import Ask

    given = [pair for each in header_ or () for pair in _headers(each)]
    ask = Ask(
        method="GET",
        url=(url if "://" in url else f"http://{url}").rstrip("/"),
        headers=(*given, *credential(token_file, given), *trace()),
        time_out=time_out,
        retries=retries,
        ca=ca,
        insecure=insecure,
        host=host,
        addresses=dict(read_address(each) for each in resolve or ()),
    )
    check(ask)
    return ask


def calls(command: Callable[..., None]) -> Callable[..., None]:
    """
    Give *command* the options of calls; its argument `ask` is what they come to.

    A service that refuses, or does not answer, is told on standard error, and gives the
    exit code.
    """

    def around(ask: "Ask") -> AbstractContextManager[None]:
        from service.cli.failing import failures

        return failures(ask.url)

    return with_options(command, "ask", _ask, around)


def with_options(
    command: Callable[..., None],
    name: str,
    options: Callable[..., T],
    around: Callable[[T], AbstractContextManager[None]],
) -> Callable[..., None]:
    """
    Return *command* with the options of another function.

    Args:
        command: Takes what they come to as its argument *name*.
        name: Of the argument.
        options: Its parameters are the options; returns what they come to.
        around: Gives the block that the command runs in.
    """
    ours = inspect.signature(options).parameters
    theirs = inspect.signature(command).parameters
    kept = [parameter for each, parameter in theirs.items() if each != name]

    @wraps(command)
    def called(*args: Any, **kwargs: Any) -> None:
        made = options(**{each: kwargs.pop(each) for each in ours})
        with around(made):
            command(*args, **{name: made}, **kwargs)

    signature = inspect.Signature([*kept, *ours.values()])
    called.__signature__ = signature  # type: ignore[attr-defined]  # Python's own name
    called.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}  # fmt: skip  # noqa: E501 - one mapping
    return called


def check(ask: "Ask") -> None:
    """Refuse what can't be asked for, before anything is sent."""
    import ssl

    from service.client.errors import InvalidRequest
    from service.client.targets import target_of

    try:
        if target_of(ask.url).discovered:
            raise typer.BadParameter("there is no discovery here; name a host")
        if ask.ca is not None:
            ssl.create_default_context(cafile=ask.ca)
    except InvalidRequest as error:
        raise typer.BadParameter(str(error)) from None
    except OSError as error:
        raise typer.BadParameter(f"--ca {ask.ca}: {error}") from None
    if ask.insecure:
        complain("--insecure: whoever is in between may read along and answer")


def read_header(text: str) -> tuple[str, str]:
    """Return name and value of a header, `NAME: VALUE`."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise typer.BadParameter(f"{text!r} is no header: NAME: VALUE")
    return name.strip(), value.strip()


def read_address(text: str) -> tuple[tuple[str, int], str]:
    """Return where a host and port are to be reached, `HOST:PORT:ADDRESS`."""
    host, _, rest = text.partition(":")
    port, _, place = rest.partition(":")
    if not (host and place and port.isascii() and port.isdigit()):
        raise typer.BadParameter(f"{text!r} is not HOST:PORT:ADDRESS")
    return (host.lower(), int(port)), place.strip("[]")


def _headers(text: str) -> list[tuple[str, str]]:
    if not text.startswith("@"):
        return [read_header(text)]
    lines = _secret(Path(text[1:])).splitlines()
    return [read_header(line) for line in lines if line.strip()]


def credential(
    file: Path | None, given: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return the header of the token in *file* or HTTPSERVER_TOKEN, unless given."""
    token = os.environ.get("HTTPSERVER_TOKEN", "") if file is None else _secret(file)
    if not token.strip() or any(name.lower() == "authorization" for name, _ in given):
        return []
    return [("authorization", f"Bearer {token.strip()}")]


def _secret(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as opened:
            return opened.read(_MOST_SECRET)
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{file}: it is no text") from None


def trace() -> list[tuple[str, str]]:
    """Go on with the trace of whoever runs the command, if it is told of one."""
    parent = os.environ.get("TRACEPARENT", "")
    return [("traceparent", parent)] if parent.isascii() and parent else []
