"""The files of a `put`: which they are, and what becomes of each."""

import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from service.cli.files.batches import Batch
from service.cli.files.service import FileService, spelled
from service.cli.files.sources import FileSource, Source, StreamSource
from service.cli.files.uploading import Uploads
from service.cli.input import is_text
from service.cli.output import complain
from service.cli.progress import Begin
from service.errors import ServiceError
from service.getting.calling import Caller
from service.top.words import bytes_text, plain

if TYPE_CHECKING:
    from service.getting.asking import Ask

__all__ = ["Puts", "planned"]

STREAM = "-"


@dataclass(frozen=True, slots=True)
class Job:
    """
    A file to put.

    Attributes:
        source: Where it is; None for standard input.
        path: Where it goes.
    """

    source: Path | None
    path: str

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self.source or "standard input")


class Puts:
    """
    Puts files.

    Args:
        jobs: Which.
        replace: Whether what is there may be replaced.
        as_json: Whether each is told as JSON.
    """

    def __init__(self, jobs: list[Job], *, replace: bool, as_json: bool) -> None:
        self._jobs = jobs
        self._replace = replace
        self._batch = Batch(as_json=as_json)

    async def run(self, ask: "Ask", *, streams: int) -> None:
        """Put all of them."""
        async with Caller(ask, connections=streams) as caller:
            service = FileService(caller, streams=streams)
            uploads = Uploads(service, retries=ask.retries, replace=self._replace)

            async def work(job: Job, begin: Begin) -> None:
                try:
                    await self._put(uploads, job, begin)
                except OSError as error:
                    self._batch.refuse(f"can't read {job.name}: {error.strerror}")

            await self._batch.run(self._next(), work, at_once=streams)

    def end(self) -> None:
        """Leave with 1 if something was refused."""
        self._batch.end()

    async def _next(self) -> AsyncIterator[Job]:
        for each in self._jobs:
            yield each

    async def _put(self, uploads: Uploads, job: Job, begin: Begin) -> None:
        if not is_text(job.path):
            raise ServiceError(f"{job.name}: its name is no text in UTF-8")
        file = 0 if job.source is None else os.open(job.source, os.O_RDONLY)
        try:
            source: Source = (
                StreamSource(sys.stdin.fileno())
                if job.source is None
                else FileSource(file, job.source)
            )
            sent = 0
            with begin(job.path) as advance:

                def told(done: int, whole: int) -> None:
                    nonlocal sent
                    sent = done
                    advance(done, whole)

                try:
                    kept = await uploads.put(job.path, source, told)
                except BaseException:
                    if sent and uploads.is_resumable(job.path, source):
                        self._batch.note(
                            f"{job.name}: {bytes_text(sent)} are kept; "
                            "the same command goes on from there"
                        )
                    raise
        finally:
            if file:
                os.close(file)
        self._tell(job, kept.info.size, created=kept.created, etag=kept.info.etag)

    def _tell(self, job: Job, size: int, *, created: bool, etag: str) -> None:
        self._batch.done(
            f"{job.path}: {bytes_text(size)}",
            path=job.path,
            file=STREAM if job.source is None else str(job.source),
            size=size,
            created=created,
            etag=etag,
        )


def planned(sources: Sequence[str], to: str, *, recursive: bool) -> list[Job]:
    """
    Return what goes where.

    Raises:
        BadParameter: It can't be done like this.
    """
    to = spelled(to)
    is_directory = not to or to.endswith("/")
    several = len(sources) > 1 or any(map(os.path.isdir, sources))
    if several and not is_directory:
        raise typer.BadParameter(f"--to {to}: several files want a directory: {to}/")
    if STREAM in sources and (is_directory or len(sources) > 1):
        raise typer.BadParameter("- is one file, whose name --to tells")
    if STREAM in sources and (sys.stdin is None or sys.stdin.isatty()):
        raise typer.BadParameter("- is for a pipe, and there is none")
    jobs = [job for each in sources for job in _jobs(each, to, recursive=recursive)]
    taken: dict[str, Job] = {}
    for job in jobs:
        if job.path in taken:
            both = f"{taken[job.path].name} and {job.name}"
            raise typer.BadParameter(f"{both} would both be {job.path}")
        taken[job.path] = job
    return jobs


def _jobs(source: str, to: str, *, recursive: bool) -> Iterator[Job]:
    if source == STREAM:
        yield Job(None, to)
        return
    path = Path(source)
    name = path.name or path.resolve().name
    target = f"{to}{name}" if not to or to.endswith("/") else to
    # those of `Path` raise for a name that is too long
    is_directory, is_file = os.path.isdir(path), os.path.isfile(path)  # noqa: PTH112, PTH113 - see above
    if is_directory:
        if not recursive:
            raise typer.BadParameter(f"{source} is a directory: -r puts all in it")
        yield from _below(path, target if name != ".." else to + path.resolve().name)
    elif is_file and os.access(path, os.R_OK):
        yield Job(path, target)
    else:
        why = "can't be read" if is_file else "there is no such file"
        raise typer.BadParameter(f"{source}: {why}")


def _below(directory: Path, target: str) -> Iterator[Job]:
    def skip(error: OSError) -> None:
        raise typer.BadParameter(f"{error.filename}: {error.strerror}")

    for folder, inner, names in os.walk(directory, onerror=skip):
        inner.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file():
                yield Job(path, f"{target}/{path.relative_to(directory).as_posix()}")
            else:  # a pipe would be waited for
                complain(plain(f"{path} is no file: left out"))
