"""
What happens to a directory before a log is opened: find, check, cut, write anew.

    sealed segments   must join without gap; an index that doesn't fit its store is
                      rebuilt from it. Their frames are checked when they are read
    active segment    every frame is checked. Damage below the synced mark: LogDamaged.
                      Above it: a torn tail, saved aside as `<base>-<position>.torn`
                      (or `…-2.torn`, where there is one), cut off and counted. What is
                      left above the mark is written again and synced before anyone
                      reads it
    half-made segment the last one when it has at most a header, and the mark doesn't
                      know it: made anew

Anything else is refused with the file, the byte and the reason. A `.torn` file is never
read again and may be deleted.

Source: https://pkg.go.dev/go.etcd.io/etcd/server/v3/storage/wal#Repair
"""

import contextlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from service.commitlog.errors import LogDamaged
from service.commitlog.files import FileSystem
from service.commitlog.mark import Mark, read_mark
from service.commitlog.policy import Policy
from service.commitlog.record import FILE_HEADER_BYTES
from service.commitlog.segment import Segment, store_path
from service.commitlog.store import write_all

__all__ = ["Recovery", "base_offsets", "recover", "save_aside", "torn_path"]

_STORE = re.compile(r"0[0-9]{19}\.log")
"""Name of a store; no log comes to an offset of 20 digits."""


@dataclass(slots=True)
class Recovery:
    """
    What a start found.

    Attributes:
        segments: In order, the last one active; never empty.
        torn_bytes: Bytes cut off the tail.
        torn_files: Where they were saved; not when they were all zero.
        rebuilt_indexes: Sealed segments that had to be scanned.
    """

    segments: list[Segment] = field(default_factory=list)
    torn_bytes: int = 0
    torn_files: list[Path] = field(default_factory=list)
    rebuilt_indexes: int = 0


def base_offsets(directory: Path, files: FileSystem) -> list[int]:
    """
    Return the base offsets of the stores in *directory*, in order.

    Raises:
        LogDamaged: A `.log` file whose name is none of ours.
    """
    names = [name for name in files.names(directory) if name.endswith(".log")]
    for name in names:
        if not _STORE.fullmatch(name):
            raise LogDamaged(str(directory / name), 0, "not the name of a segment")
    return sorted(int(name[:20]) for name in names)


def recover(directory: Path, *, policy: Policy, files: FileSystem) -> Recovery:
    """
    Make *directory* a log that can be appended to, and return what it is.

    Args:
        directory: Locked by the caller; may be empty.
        policy: How far apart index entries are.
        files: The file system.

    Raises:
        LogDamaged: Something below the synced mark is missing or changed.
        OSError: As the system says.
    """
    mark, found = read_mark(directory, files), Recovery()
    bases = base_offsets(directory, files)
    if mark and mark.is_missing(bases):
        path = store_path(directory, mark.base_offset)
        raise LogDamaged(str(path), 0, "the segment of the synced mark is missing")
    if not bases:
        Segment.create(directory, 0, files)
        bases = [0]
    try:
        for base in bases[:-1]:
            found.segments.append(_open(directory, base, policy, files))
            _check_sealed(found, bases[len(found.segments)])
        floor = mark.position if mark and mark.base_offset == bases[-1] else 0
        _mend_header(directory, bases[-1], floor, files)
        found.segments.append(_open(directory, bases[-1], policy, files))
        _check_active(found, floor, directory, files)
        _check_mark(found.segments[-1], mark)
    except BaseException:
        for segment in found.segments:
            segment.close()
        raise
    return found


def torn_path(
    directory: Path,
    base: int,
    position: int,
    files: FileSystem,
    *,
    data: bytes | None = None,
) -> Path:
    """
    Return where to save what is cut off: never over what was saved before.

    Args:
        directory: Of the log.
        base: Of the segment.
        position: Where it is cut.
        files: The file system.
        data: What is saved; a file that holds a begin of it is written anew.
    """
    names, stem = files.names(directory), f"{base:020}-{position}"
    path, number = directory / f"{stem}.torn", 1
    while path.name in names and not (data and _is_begin(path, data, files)):
        number += 1
        path = directory / f"{stem}-{number}.torn"
    return path


def save_aside(
    segment: Segment, position: int, directory: Path, files: FileSystem
) -> Path | None:
    """Copy everything from *position* to a `.torn` file; None when all is zero."""
    store = segment.store
    data = store.bytes_from(position, store.size() - position)
    if not data.strip(b"\x00"):
        return None
    path = torn_path(directory, segment.base_offset, position, files, data=data)
    file = files.open(path, create=True)
    try:
        write_all(file, 0, data)
        file.sync()
    finally:
        file.close()
    files.sync_directory(directory)
    return path


def _is_begin(path: Path, data: bytes, files: FileSystem) -> bool:
    """Tell whether the file holds the begin of *data*: a start that was cut off."""
    with contextlib.closing(files.open(path, write=False)) as file:
        return data.startswith(file.read(0, len(data) + 1))


def _open(directory: Path, base: int, policy: Policy, files: FileSystem) -> Segment:
    interval = policy.index_interval_bytes
    return Segment(directory, base, files=files, index_interval_bytes=interval)


def _check_sealed(found: Recovery, next_base: int) -> None:
    segment = found.segments[-1]
    path = str(segment.store.path)
    segment.check_header()
    if not segment.load() or segment.next_offset != next_base:
        segment.scan()
        segment.seal()
        found.rebuilt_indexes += 1
    if segment.next_offset != next_base:
        raise LogDamaged(
            path,
            segment.store.end,
            f"it ends before offset {segment.next_offset}, "
            f"the next segment begins at {next_base}",
        )


def _mend_header(directory: Path, base: int, floor: int, files: FileSystem) -> None:
    file = files.open(store_path(directory, base), write=False)
    try:
        half_made = file.size() <= FILE_HEADER_BYTES
    finally:
        file.close()
    if half_made and not floor:
        Segment.create(directory, base, files)


def _check_active(
    found: Recovery, floor: int, directory: Path, files: FileSystem
) -> None:
    segment = found.segments[-1]
    path = str(segment.store.path)
    segment.check_header()
    try:
        segment.scan()
    except LogDamaged as damage:
        if damage.position < floor:
            raise
        found.torn_bytes = segment.store.size() - damage.position
        saved = save_aside(segment, damage.position, directory, files)
        found.torn_files += [saved] if saved else []
        segment.store.truncate(damage.position)
    if segment.store.end < floor:
        raise LogDamaged(path, segment.store.end, f"{floor} bytes were on disk")
    segment.store.rewrite(max(floor, FILE_HEADER_BYTES))


def _check_mark(segment: Segment, mark: Mark | None) -> None:
    if mark and segment.next_offset < mark.next_offset:
        raise LogDamaged(
            str(segment.store.path),
            segment.store.end,
            f"records up to offset {mark.next_offset} were on disk",
        )
