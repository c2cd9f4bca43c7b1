"""The files of a `get`: which they are, and what becomes of each."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import typer

from service.cli.files.batches import Batch
from service.cli.files.downloading import Downloads
from service.cli.files.partial import kept, places
from service.cli.files.service import FileService, Info, IsDirectory, spelled
from service.cli.output import write_bytes
from service.cli.progress import Begin, counting
from service.errors import ServiceError
from service.getting.calling import Caller
from service.top.words import bytes_text

if TYPE_CHECKING:
    from service.getting.asking import Ask

__all__ = ["Gets", "streamed", "targets"]


@dataclass(frozen=True, slots=True)
class Job:
    """
    A file to get, or a directory by the slash at its end.

    Attributes:
        path: Where it is.
        target: Where it goes.
    """

    path: str
    target: Path

    @property
    def name(self) -> str:
        """What it is called."""
        return self.path


class Gets:
    """
    Gets files.

    Args:
        jobs: Which.
        as_json: Whether each is told as JSON.
    """

    def __init__(self, jobs: list[Job], *, as_json: bool) -> None:
        self._jobs = jobs
        self._batch = Batch(as_json=as_json)
        self._names = _Names()

    async def run(self, ask: "Ask", *, parts: int) -> None:
        """Get all of them."""
        async with Caller(ask, connections=parts) as caller:
            service = FileService(caller, streams=parts)
            downloads = Downloads(service, parts=parts, retries=ask.retries)

            async def work(job: Job, begin: Begin) -> None:
                try:
                    await self._get(downloads, job, begin)
                except OSError as error:
                    self._batch.refuse(f"can't write {job.target}: {error.strerror}")

            await self._batch.run(self._next(service), work, at_once=parts)

    def end(self) -> None:
        """Leave with 1 if something was refused."""
        self._batch.end()

    async def _next(self, service: FileService) -> AsyncIterator[Job]:
        for job in self._jobs:
            if job.path and not job.path.endswith("/"):
                yield job
                continue
            try:
                async for path, _ in service.walk(job.path):
                    yield Job(path, job.target / path[len(job.path) :])
            except ServiceError as error:
                if not job.path or isinstance(error, OSError):
                    raise
                self._batch.refuse(str(error))

    async def _get(self, downloads: Downloads, job: Job, begin: Begin) -> None:
        async with self._names.held(job.target):
            info = await self._saved(downloads, job, begin)
        self._batch.done(
            f"{job.target}: {bytes_text(info.size)}",
            path=job.path,
            file=str(job.target),
            size=info.size,
            etag=info.etag,
            verified=sorted(info.digests),
        )

    async def _saved(self, downloads: Downloads, job: Job, begin: Begin) -> Info:
        with begin(job.path) as advance:
            have = 0

            def told(done: int, whole: int) -> None:
                nonlocal have
                have = done
                advance(done, whole)

            try:
                return await downloads.save(job.path, job.target, told)
            except IsDirectory:
                raise ServiceError(
                    f"{job.path} is a directory: -r gets all in it"
                ) from None
            except BaseException:
                self._note(job, have)
                raise

    def _note(self, job: Job, have: int) -> None:
        left = kept(job.target) if have else None
        if left:
            self._batch.note(
                f"{left[0]}: {bytes_text(left[1])} are kept; the same command goes on "
                "from there"
            )


class _Names:
    """Names of files that are being written: one may be where another is kept."""

    def __init__(self) -> None:
        self._busy: dict[Path, asyncio.Event] = {}

    @asynccontextmanager
    async def held(self, target: Path) -> AsyncIterator[None]:
        """Keep *target*, and where it is kept while it comes, for the block alone."""
        names = {target, *next(places(target))}
        while clashes := names & self._busy.keys():
            await self._busy[clashes.pop()].wait()
        done = asyncio.Event()
        self._busy |= dict.fromkeys(names, done)
        try:
            yield
        finally:
            for each in names:
                del self._busy[each]
            done.set()


def targets(paths: Sequence[str], to: str, *, recursive: bool) -> list[Job]:
    """
    Return what goes where.

    Raises:
        BadParameter: It can't be done like this.
    """
    folder = Path(to or ".")
    is_there = os.path.isdir(folder)  # noqa: PTH112 - that of `Path` raises for a long name
    into = not to or to.endswith("/") or is_there
    if into and os.path.lexists(folder) and not is_there:
        raise typer.BadParameter(f"--to {to}: a file is there")
    if not into and len(paths) > 1:
        raise typer.BadParameter(f"--to {to}: several files want a directory: {to}/")
    found: dict[Path, Job] = {}
    for each in paths:
        path = spelled(each)
        if path and not path.endswith("/") and recursive:
            path += "/"
        if (not path or path.endswith("/")) and not recursive:
            raise typer.BadParameter(f"{each or '/'} is a directory: -r gets all in it")
        name = PurePosixPath(path).name
        job = Job(path, folder / name if into else folder)
        if job.target in found:
            both = f"{found[job.target].path} and {path}"
            raise typer.BadParameter(f"{both} would both be {job.target}")
        found[job.target] = job
    return [*found.values()]


async def streamed(ask: "Ask", path: str) -> None:
    """Write a file to standard output."""
    if sys.stdout is None:
        raise typer.BadParameter("there is no standard output: name a file with --to")
    if sys.stdout.isatty():
        raise typer.BadParameter("a file is not for a terminal: name one with --to")
    async with Caller(ask) as caller:
        downloads = Downloads(
            FileService(caller, streams=1), parts=1, retries=ask.retries
        )
        with counting(path, "bytes") as advance:
            try:
                await downloads.stream(spelled(path), write_bytes, advance)
            except IsDirectory:
                raise typer.BadParameter(f"{path} is a directory") from None
