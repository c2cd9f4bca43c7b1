"""The files of a `get`: which they are, and what becomes of each."""

import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import typer

from service.cli.files.batches import Batch
from service.cli.files.downloading import Downloads
from service.cli.files.service import FileService, IsDirectory, spelled
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
        job.target.parent.mkdir(parents=True, exist_ok=True)
        with begin(job.path) as advance:
            have = 0

            def told(done: int, whole: int) -> None:
                nonlocal have
                have = done
                advance(done, whole)

            try:
                info = await downloads.save(job.path, job.target, told)
            except IsDirectory:
                raise ServiceError(
                    f"{job.path} is a directory: -r gets all in it"
                ) from None
            except BaseException:
                self._note(job, have)
                raise
        self._batch.done(
            f"{job.target}: {bytes_text(info.size)}",
            path=job.path,
            file=str(job.target),
            size=info.size,
            etag=info.etag,
            verified=sorted(info.digests),
        )

    def _note(self, job: Job, have: int) -> None:
        part = job.target.with_name(f"{job.target.name}.part")
        if have and part.exists():
            self._batch.note(
                f"{part}: {bytes_text(have)} are kept; the same command goes on from "
                "there"
            )


def targets(paths: Sequence[str], to: str, *, recursive: bool) -> list[Job]:
    """
    Return what goes where.

    Raises:
        BadParameter: It can't be done like this.
    """
    folder = Path(to or ".")
    into = not to or to.endswith("/") or folder.is_dir()
    if into and folder.exists() and not folder.is_dir():
        raise typer.BadParameter(f"--to {to}: a file is there")
    if not into and len(paths) > 1:
        raise typer.BadParameter(f"--to {to}: several files want a directory: {to}/")
    found = []
    for each in paths:
        path = spelled(each)
        if path and not path.endswith("/") and recursive:
            path += "/"
        if (not path or path.endswith("/")) and not recursive:
            raise typer.BadParameter(f"{each or '/'} is a directory: -r gets all in it")
        name = PurePosixPath(path).name
        found.append(Job(path, folder / name if into else folder))
    return found


async def streamed(ask: "Ask", path: str) -> None:
    """Write a file to standard output."""
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
