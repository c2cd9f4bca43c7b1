"""`httpserver files ls` and `rm`."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.files.moving import JsonOption, RecursiveOption
from service.cli.output import complain, terminal_width, write
from service.cli.remote import calls

if TYPE_CHECKING:
    from service.cli.files.service import FileService
    from service.getting.asking import Ask

__all__ = ["list_files", "remove"]


@calls
def list_files(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A directory, or a file.")
    ] = "",
    *,
    ask: "Ask",
    recursive: RecursiveOption = False,
    as_json: JsonOption = False,
) -> None:
    """
    List a directory: size, time and name; on a pipe, size in bytes, time and path
    between tabs.
    """
    from service.cli.files.service import spelled

    async def work(service: "FileService") -> None:
        async for each in _entries(service, spelled(path), recursive=recursive):
            _show(*each, as_json=as_json)

    asyncio.run(_with(ask, work))


@calls
def remove(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files.")],
    *,
    ask: "Ask",
    recursive: RecursiveOption = False,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="What is not there is no failure.")
    ] = False,
) -> None:
    """
    Remove files.

    Exit code 1 when one was not there; the others are gone all the same.
    """
    from service.cli.files.service import IsDirectory, NoFile, spelled

    missing = False

    async def work(service: "FileService") -> None:
        nonlocal missing
        for each in paths:
            try:
                await _remove(service, spelled(each), recursive=recursive)
            except (NoFile, IsDirectory) as error:
                if not (force and isinstance(error, NoFile)):
                    _complain(str(error))
                    missing = True

    for each in paths:
        if not spelled(each):
            raise typer.BadParameter("all files are not removed at once: name them")
    asyncio.run(_with(ask, work))
    if missing:
        raise typer.Exit(1)


async def _remove(service: "FileService", path: str, *, recursive: bool) -> None:
    from service.cli.files.service import IsDirectory, NoFile

    if not path.endswith("/"):
        try:
            await service.delete(path)
        except IsDirectory:
            if not recursive:
                hint = f"{path} is a directory: -r removes all in it"
                raise IsDirectory(hint) from None
            path += "/"
        else:
            return
    if not recursive:
        raise IsDirectory(f"{path} is a directory: -r removes all in it")
    found = [each async for each, _ in service.walk(path)]
    for each in found:
        try:
            await service.delete(each)
        except NoFile:  # somebody else was faster
            continue


async def _with(ask: "Ask", work: Any) -> None:
    from service.cli.files.service import FileService
    from service.getting.calling import Caller

    async with Caller(ask) as caller:
        await work(FileService(caller, streams=1))


async def _entries(service: "FileService", path: str, *, recursive: bool) -> Any:
    """Yield path and entry of what is to be shown."""
    from service.cli.files.service import NoFile

    directory = f"{path.rstrip('/')}/" if path else ""
    try:
        if recursive:
            async for each in service.walk(directory):
                yield each
        else:
            async for entry in service.entries(directory):
                slash = "/" if entry["type"] == "directory" else ""
                yield directory + entry["name"] + slash, entry
    except NoFile:
        if path.endswith("/") or not path:
            raise
        info = await service.info(path)
        yield path, {"type": "file", "size": info.size, "modified": info.modified}


def _show(path: str, entry: dict[str, Any], *, as_json: bool) -> None:
    from service.top.words import bytes_text, plain

    size, modified = entry.get("size"), str(entry.get("modified") or "")
    if as_json:
        told = {"path": path, "type": entry["type"]}
        if size is not None:
            told |= {"size": size, "modified": modified}
        write(json.dumps(told, ensure_ascii=False))
    elif terminal_width() is None:
        write(_line("" if size is None else str(size), modified, path))
    else:
        shown = "" if size is None else bytes_text(size)
        write(f"{shown:>10}  {plain(modified):20}  {plain(path)}")


def _line(*fields: str) -> str:
    """Return fields between tabs; none of them breaks the line."""
    from service.top.words import plain

    return "\t".join(map(plain, fields))


def _complain(text: str) -> None:
    from service.top.words import plain

    complain(plain(text))
