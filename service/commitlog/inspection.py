"""
Looking at a directory without opening it as a log, and mending one that is refused.

`inspect` reads every frame and changes nothing; on a log that is being written to, its
tail may look torn. `repair` is for the operator who has seen `inspect`'s answer: it
cuts at the first damage, saves everything after it aside, and tells what is lost.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from service.commitlog.errors import LogDamaged, OtherVersion
from service.commitlog.files import FileSystem, OsFileSystem
from service.commitlog.log import LOCK
from service.commitlog.mark import Mark, MarkFile, read_mark
from service.commitlog.policy import Policy
from service.commitlog.record import FILE_HEADER_BYTES, Record
from service.commitlog.recovery import base_offsets, save_aside, torn_path
from service.commitlog.segment import Segment, index_path, store_path

__all__ = ["Inspection", "SegmentReport", "inspect", "records", "repair"]


@dataclass(slots=True)
class SegmentReport:
    """
    What one segment holds.

    Attributes:
        name: Of its store.
        records: Whole records from its start on.
        bytes: Of the store.
        base_offset: Of the first record.
        next_offset: One after the last whole record.
        first_timestamp: Milliseconds since 1970; -1 without records.
        last_timestamp: The same, of the last whole record.
        problem: What is wrong, or "".
        position: Byte of the first wrong frame, or of the end.
        torn: Whether the problem lies above the synced mark: the next start cuts it,
            or makes a segment anew that was only half made.
    """

    name: str
    records: int
    bytes: int
    base_offset: int
    next_offset: int
    first_timestamp: int
    last_timestamp: int
    problem: str = ""
    position: int = 0
    torn: bool = False


@dataclass(slots=True)
class Inspection:
    """
    What a directory holds.

    Attributes:
        segments: In order.
        synced_offset: Next offset of the synced mark, or None without one.
        problem: What is wrong with the directory itself, or "".
    """

    segments: list[SegmentReport] = field(default_factory=list)
    synced_offset: int | None = None
    problem: str = ""

    @property
    def damaged(self) -> bool:
        """Whether a start would be refused, or records are wrong."""
        wrong = any(each.problem and not each.torn for each in self.segments)
        return bool(self.problem) or wrong


def inspect(directory: Path, *, files: FileSystem | None = None) -> Inspection:
    """
    Read every frame of *directory* and return what was found.

    Raises:
        OSError: As the system says.
    """
    return _inspected(directory, files or OsFileSystem())


def _inspected(
    directory: Path, files: FileSystem, *, refuse_versions: bool = False
) -> Inspection:
    """Return what `inspect` does, or raise `OtherVersion` if asked to."""
    found = Inspection()
    mark = read_mark(directory, files)
    found.synced_offset = mark.next_offset if mark else None
    try:
        bases = base_offsets(directory, files)
    except LogDamaged as damage:
        found.problem = str(damage)
        return found
    if mark and mark.is_missing(bases):
        found.problem = f"segment {mark.base_offset} of the synced mark is missing"
    for place, base in enumerate(bases):
        following = bases[place + 1] if place + 1 < len(bases) else None
        with _opened(directory, base, files) as segment:
            report = _report(segment, following, mark, refuse_versions=refuse_versions)
        found.segments.append(report)
    return found


def records(
    directory: Path, offset: int = 0, *, files: FileSystem | None = None
) -> Iterator[Record]:
    """
    Yield the records from *offset* on, without a lock.

    Raises:
        LogDamaged: A frame is wrong; everything before it was yielded.
        OSError: As the system says.
    """
    files = files or OsFileSystem()
    bases = base_offsets(directory, files)
    for base, following in zip(bases, [*bases[1:], None], strict=True):
        if following is None or following > offset:
            with _opened(directory, base, files) as segment:
                segment.store.end = segment.store.size()
                for record, _ in segment.store.frames():
                    if record.offset >= offset:
                        yield record


def repair(directory: Path, *, files: FileSystem | None = None) -> list[Path]:
    """
    Cut *directory* at its first damage, so that it can be opened again.

    Returns:
        Files that hold what was cut off, `.torn`; empty when nothing was wrong.

    Raises:
        LogLocked: A process writes to it.
        OtherVersion: A program that writes another format made it.
        LogDamaged: A `.log` file whose name is none of ours: move it away first.
        OSError: As the system says.
    """
    files = files or OsFileSystem()
    with contextlib.closing(files.lock(directory / LOCK)):
        base_offsets(directory, files)
        found = _inspected(directory, files, refuse_versions=True)
        wrong = [n for n, each in enumerate(found.segments) if each.problem]
        if not wrong and not found.problem:
            return []
        kept = found.segments[: wrong[0] + 1] if wrong else found.segments
        # From the last one on: stopped half-way, it can simply be run again.
        saved = [
            _set_aside(directory, report.base_offset, files)
            for report in reversed(found.segments[len(kept) :])
        ]
        if kept:
            saved += _cut(directory, kept[-1], files)
        else:
            _begin(directory, found.synced_offset or 0, files)
        files.sync_directory(directory)
        return saved


def _begin(directory: Path, offset: int, files: FileSystem) -> None:
    """Make a log of no records, whose offsets go on where they were."""
    Segment.create(directory, offset, files)
    _mark(directory, Mark(offset, FILE_HEADER_BYTES, offset), files)


def _mark(directory: Path, mark: Mark, files: FileSystem) -> None:
    file = MarkFile.open(directory, files)
    file.write(mark)
    file.close()


def _cut(directory: Path, report: SegmentReport, files: FileSystem) -> list[Path]:
    """Keep the whole records of the last segment, and put the mark there."""
    files.remove(index_path(directory, report.base_offset))
    with _opened(directory, report.base_offset, files, write=True) as segment:
        saved = save_aside(segment, report.position, directory, files)
        end = max(report.position, FILE_HEADER_BYTES)
        segment.store.truncate(report.position)
        segment.store.sync()
    if report.position < FILE_HEADER_BYTES:
        Segment.create(directory, report.base_offset, files)
    _mark(directory, Mark(report.base_offset, end, report.next_offset), files)
    return [saved] if saved else []


def _set_aside(directory: Path, base: int, files: FileSystem) -> Path:
    target = torn_path(directory, base, 0, files)
    files.rename(store_path(directory, base), target)
    files.remove(index_path(directory, base))
    return target


@contextlib.contextmanager
def _opened(
    directory: Path, base: int, files: FileSystem, *, write: bool = False
) -> Iterator[Segment]:
    interval = Policy().index_interval_bytes
    segment = Segment(
        directory, base, files=files, index_interval_bytes=interval, write=write
    )
    try:
        yield segment
    finally:
        segment.close()


def _report(
    segment: Segment, following: int | None, mark: Mark | None, *, refuse_versions: bool
) -> SegmentReport:
    base, size, problem = segment.base_offset, segment.store.size(), ""
    try:
        segment.check_header()
        segment.scan()
    except LogDamaged as damage:
        if refuse_versions and isinstance(damage, OtherVersion):
            raise
        problem = damage.reason
    position = segment.store.end
    floor = mark.position if mark and mark.base_offset == base else 0
    half_made = size <= FILE_HEADER_BYTES and not floor
    cut = half_made or position >= max(floor, 1)
    torn = bool(problem) and following is None and cut
    if not problem and position < floor:
        problem = f"it ends here, {floor} bytes were on disk"
    if not problem and following is not None and segment.next_offset != following:
        problem = f"it ends before offset {segment.next_offset}, then comes {following}"
    return SegmentReport(
        name=segment.store.path.name,
        records=segment.next_offset - base,
        bytes=size,
        base_offset=base,
        next_offset=segment.next_offset,
        first_timestamp=segment.first_timestamp,
        last_timestamp=segment.last_timestamp,
        problem=problem,
        position=position,
        torn=torn,
    )
