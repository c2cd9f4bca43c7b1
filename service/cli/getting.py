"""`httpserver get`."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.batch import PushgatewayOption, measured
from service.cli.input import standard_input
from service.cli.output import complain, write, write_bytes
from service.cli.remote import (
    CaOption,
    HostOption,
    InsecureOption,
    ResolveOption,
    TimeOutOption,
    check,
    read_address,
    read_header,
)

if TYPE_CHECKING:
    from service.getting.asking import Ask

__all__ = ["get"]

FORM = ("content-type", "application/x-www-form-urlencoded")
JSON = (("content-type", "application/json"), ("accept", "application/json"))


def get(
    url: Annotated[str, typer.Argument(metavar="URL", help="http:// may be left out.")],
    *,
    method: Annotated[
        str | None,
        typer.Option(
            "--method", "-X", metavar="METHOD", help="GET, or POST where data is sent."
        ),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(
            "--header", "-H", metavar="'NAME: VALUE'", help="Header; may be repeated."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            "-d",
            metavar="TEXT",
            help="Body; @FILE is that file, - standard input. A form unless "
            "a header says otherwise.",
        ),
    ] = None,
    json: Annotated[
        str | None,
        typer.Option(
            "--json", metavar="TEXT", help="The same, for a body that is JSON."
        ),
    ] = None,
    include: Annotated[
        bool, typer.Option("--include", "-i", help="Show status and headers too.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="File for the body of a 2xx or 3xx; a terminal shows the progress.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--continue", help="Ask only for what the file of -o lacks."),
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Follow redirects, at most 10.")
    ] = False,
    time_out: TimeOutOption = 30.0,
    retries: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=100,
            help="Further attempts where nobody answers, or with 429, 502, 503 or "
            "504; of a POST only where no connection was made, or with an "
            "Idempotency-Key.",
        ),
    ] = 0,
    timing: Annotated[
        bool, typer.Option("--timing", help="Tell how long each step took.")
    ] = False,
    repeat: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Ask so often, and show a summary."),
    ] = 1,
    concurrency: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=10_000, help="Calls at a time."),
    ] = 1,
    ca: CaOption = None,
    insecure: InsecureOption = False,
    host: HostOption = None,
    resolve: ResolveOption = None,
    pushgateway: PushgatewayOption = None,
) -> None:
    """
    Make an HTTP call and show its answer.

    A terminal gets JSON laid out and no control characters; a pipe gets the bytes as
    they came. Exit codes: 0 answered with 2xx or 3xx, 1 with 4xx or 5xx, 2 wrong usage
    or what can't be shown or written, 4 no answer, or none that is whole, 130 Ctrl-C.
    """
    from service.getting.asking import Ask

    if resume and output is None:
        raise typer.BadParameter("--continue needs --output")
    if repeat > 1 and (output or include or timing):
        raise typer.BadParameter("--repeat shows a summary and nothing else")
    headers, content = _body(data, json, [read_header(each) for each in header or ()])
    ask = Ask(
        method=(method or ("GET" if content is None else "POST")).upper(),
        url=url if "://" in url else f"http://{url}",
        headers=tuple(headers),
        content=content,
        time_out=time_out,
        retries=retries,
        follow=follow,
        host=host,
        addresses=dict(read_address(each) for each in resolve or ()),
        ca=ca,
        insecure=insecure,
    )
    check(ask)
    with measured("get", pushgateway):
        if repeat > 1:
            code = _many(ask, times=repeat, concurrency=concurrency)
        else:
            code = _one(ask, head=include, timing=timing, file=output, resume=resume)
        if code:
            raise typer.Exit(code)


def _one(
    ask: "Ask", *, head: bool, timing: bool, file: Path | None, resume: bool
) -> int:
    from service.getting.running import Show, get

    show = Show(
        write=write_bytes,
        complain=complain,
        terminal=sys.stdout is not None and sys.stdout.isatty(),
        head=head,
        timing=timing,
        file=file,
        resume=resume,
        bar=sys.stderr is not None and sys.stderr.isatty(),
    )
    return asyncio.run(get(ask, show))


def _many(ask: "Ask", *, times: int, concurrency: int) -> int:
    from service.client.errors import InvalidRequest
    from service.getting.repeating import Summary, repeat
    from service.getting.running import code_of

    summary = Summary(concurrency=min(concurrency, times))
    try:
        asyncio.run(repeat(ask, times=times, concurrency=concurrency, into=summary))
    except InvalidRequest as error:
        raise typer.BadParameter(str(error)) from None
    finally:  # after Ctrl-C too: what was seen until then
        if summary.calls:
            write(summary.text())
    return code_of(summary)


def _body(
    data: str | None, json: str | None, headers: list[tuple[str, str]]
) -> tuple[list[tuple[str, str]], bytes | None]:
    """Return headers and body; what a header says counts more than what we would."""
    if data is not None and json is not None:
        raise typer.BadParameter("--data and --json are both a body")
    if data is None and json is None:
        return headers, None
    usual = JSON if json is not None else (FORM,)
    given = {name.lower() for name, _ in headers}
    added = [pair for pair in usual if pair[0] not in given]
    return headers + added, _content(json if json is not None else data or "")


def _content(text: str) -> bytes:
    if text == "-":
        return standard_input().read()
    if not text.startswith("@"):
        return text.encode("utf-8", "surrogateescape")
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{text[1:]}: {error.strerror}") from None
