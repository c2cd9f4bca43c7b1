"""One call, shown or saved; the exit code tells what came of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from anyio.lowlevel import checkpoint

from service.client.answers import Response
from service.client.errors import ClientError, InvalidRequest
from service.getting.asking import Ask, asking, client_for
from service.getting.repeating import Summary
from service.getting.saving import NothingToDo, range_from, save
from service.getting.showing import Binary, head_text, show_body
from service.getting.timing import Timing

__all__ = ["DONE", "FAILED", "NO_ANSWER", "WRONG", "Show", "code_of", "get"]

DONE, FAILED, WRONG, NO_ANSWER = 0, 1, 2, 4
"""Exit codes: answered, answered with a failure, can't be done, no answer."""

CLIENT_ERROR = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """
    Where things go.

    Attributes:
        write: Writes to standard output.
        complain: Writes a line to standard error.
        terminal: Whether standard output is a terminal.
        head: Whether the head is shown.
        timing: Whether the steps are told.
        file: Where the body goes instead of standard output.
        resume: Whether the file is continued.
        bar: Whether its progress is shown.
    """

    write: Callable[[bytes], None]
    complain: Callable[[str], None]
    terminal: bool = False
    head: bool = False
    timing: bool = False
    file: Path | None = None
    resume: bool = False
    bar: bool = False


async def get(ask: Ask, show: Show) -> int:
    """Make the call, and return the exit code."""
    if show.file is not None and show.resume:
        ask = replace(ask, headers=(*ask.headers, *range_from(show.file)))
    client = client_for(ask)
    await checkpoint()  # loads what connecting would else load, and be timed for
    timing = Timing()
    try:
        async with asking(client, ask, trace=timing.trace) as answer:
            code = await _shown(answer, show)
        timing.end()
    except ClientError as error:
        show.complain(str(error))
        return WRONG if isinstance(error, InvalidRequest) else NO_ANSWER
    finally:
        await client.close()
        if show.timing:
            show.complain(timing.text())
    return code


async def _shown(answer: Response, show: Show) -> int:
    if show.head:
        show.write(head_text(answer, terminal=show.terminal).encode("utf-8"))
    try:
        if show.file is not None and await _saved(answer, show.file, show):
            return DONE
        await show_body(answer, show.write, terminal=show.terminal)
    except Binary:
        show.complain("the answer is no text: save it with -o FILE, or pipe it")
        return WRONG
    except OSError as error:
        show.complain(f"can't write {show.file}: {error.strerror or error}")
        return WRONG
    return FAILED if answer.status >= CLIENT_ERROR else DONE


async def _saved(answer: Response, file: Path, show: Show) -> bool:
    """Save the answer; one of failure is no part of the file, and is shown."""
    try:
        return await save(answer, file, resume=show.resume, bar=show.bar)
    except NothingToDo:
        show.complain(f"{file} is whole already")
        return True


def code_of(summary: Summary) -> int:
    """Return the exit code for many calls: the worst of theirs."""
    if summary.errors:
        return NO_ANSWER
    failed = any(status >= CLIENT_ERROR for status in summary.statuses)
    return FAILED if failed else DONE
