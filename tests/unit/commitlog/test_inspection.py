"""`httpserver log` on whole, torn and damaged directories."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.commitlog import Policy, Record
from service.commitlog.errors import LogDamaged, OtherVersion
from service.commitlog.log import Log

POLICY = Policy(segment_bytes=400)


@pytest.fixture
def directory(tmp_path):
    """A log of 20 records in several segments."""
    log = Log(tmp_path, POLICY)
    for number in range(20):
        log.commit([[Record(b"value %02d" % number, b"k", (("h", b"1"),))]])
    log.close()
    return tmp_path


def _log(*arguments):
    return CliRunner().invoke(app, ["log", *map(str, arguments)])


def _stores(directory):
    return sorted(directory.glob("*.log"))


def _damage(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_whole_log_is_verified(directory):
    """Exit code 0, and the records are counted."""
    done = _log("verify", directory)

    assert done.exit_code == 0
    assert done.stdout.startswith("20 whole records in ")


def test_torn_tail_is_told_and_is_no_damage(directory):
    """The next start cuts it, saves it aside and counts it."""
    with _stores(directory)[-1].open("ab") as file:
        file.write(b"half a frame")
    done = _log("verify", directory)
    log = Log(directory, POLICY)

    assert done.exit_code == 0
    assert "torn tail" in done.stderr
    assert log.recovery.torn_bytes == 12
    assert log.recovery.torn_files[0].read_bytes() == b"half a frame"
    assert log.next_offset == 20
    log.close()


@pytest.mark.parametrize("size", [0, 5, 16])
def test_half_made_last_segment_is_told_and_is_no_damage(directory, size):
    """A start or a roll was cut off in it: the next start makes it anew."""
    (directory / f"{20:020}.log").write_bytes(bytes(size))
    done = _log("verify", directory)
    log = Log(directory, POLICY)

    assert done.exit_code == 0
    assert "torn tail at byte 0: the header is wrong" in done.stderr
    assert (log.next_offset, log.recovery.torn_bytes) == (20, 0)
    log.close()


def test_last_segment_that_lost_all_its_records_is_damaged(directory):
    """The synced mark knows of them: it is not half-made."""
    _stores(directory)[-1].write_bytes(b"")
    done = _log("verify", directory)

    assert done.exit_code == 1
    with pytest.raises(LogDamaged):
        Log(directory, POLICY)


@pytest.mark.parametrize("place", [0, 1, -1], ids=["first", "middle", "last"])
def test_damage_is_found_and_repair_keeps_what_lies_before(directory, place):
    """verify: exit code 1; repair: a log that opens, and the rest saved aside."""
    path = _stores(directory)[place]
    _damage(path, 100)
    base = int(path.stem)
    before = sum(each.stat().st_size for each in _stores(directory))

    assert _log("verify", directory).exit_code == 1
    done = _log("repair", directory, "--json")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert base <= told["next_offset"] < 20
    assert _log("verify", directory).exit_code == 0
    log = Log(directory, POLICY)
    assert log.next_offset == told["next_offset"]
    assert log.commit([[Record(b"after")]]).offsets == [told["next_offset"]]
    log.close()
    kept = sum(each.stat().st_size for each in _stores(directory))
    aside = sum(each.stat().st_size for each in directory.glob("*.torn"))
    # The record that was appended after the repair has 40 bytes, and may have a header.
    assert kept + aside - before in {40, 56}


def test_repair_never_writes_over_what_it_saved_before(directory):
    """The same place fails again, as a bad block does: both halves are there."""
    saved = []
    for number in range(3):
        path = _stores(directory)[0]
        _damage(path, 100)
        before = path.read_bytes()
        told = json.loads(_log("repair", directory, "--json").stdout)
        saved.append((told["saved"][-1], before[path.stat().st_size :]))
        log = Log(directory, Policy())
        for _ in range(4):
            log.commit([[Record(b"after %d" % number)]])
        log.close()

    assert len({path for path, _ in saved}) == 3
    assert all(Path(path).read_bytes() == lost for path, lost in saved)


def test_tail_that_is_torn_twice_at_one_place_is_saved_twice(directory):
    """But not the same again, where a start was cut off in between."""
    store = _stores(directory)[-1]
    for tail in (b"half a frame", b"half a fra", b"another one", b"another one"):
        with store.open("ab") as file:
            file.write(tail)
        Log(directory, POLICY).close()
    torn = sorted(each.read_bytes() for each in directory.glob("*.torn"))

    assert torn == [b"another one", b"half a fra", b"half a frame"]


def test_repair_of_a_log_without_segments_makes_one(directory):
    """Its offsets go on where they were, so none means another record."""
    for path in _stores(directory):
        path.unlink()
    assert _log("verify", directory).exit_code == 1
    done = _log("repair", directory)

    assert done.exit_code == 0
    assert "the log ends before offset 20" in done.stdout
    assert _log("verify", directory).exit_code == 0
    log = Log(directory, POLICY)
    assert (log.lowest_offset, log.next_offset) == (20, 20)
    log.close()


@pytest.mark.parametrize("place", [0, -1], ids=["sealed", "active"])
def test_log_of_another_version_is_neither_opened_nor_cut(directory, place):
    """A newer program wrote it: nothing is damaged, and repair must not take it."""
    path = _stores(directory)[place]
    data = bytearray(path.read_bytes())
    data[7] = 2
    path.write_bytes(data)
    before = {each.name: each.read_bytes() for each in directory.iterdir()}
    with pytest.raises(OtherVersion, match="version 2, this program reads 1"):
        Log(directory, POLICY)
    verified, repaired = (_log(each, directory) for each in ("verify", "repair"))

    assert (verified.exit_code, repaired.exit_code) == (1, 1)
    assert "format version 2" in verified.stderr
    assert "format version 2" in repaired.stderr
    assert {each.name: each.read_bytes() for each in directory.iterdir()} == before


def test_damage_of_the_last_segment_refuses_the_start(directory):
    """With file and byte."""
    _damage(_stores(directory)[-1], 20)

    with pytest.raises(LogDamaged, match=r"\.log: damaged at byte 16"):
        Log(directory, POLICY)


def test_missing_segment_refuses_the_start(directory):
    """In the middle, and the one of the mark."""
    middle = _stores(directory)[1]
    data = middle.read_bytes()
    middle.unlink()
    with pytest.raises(LogDamaged, match="the next segment begins"):
        Log(directory, POLICY)
    middle.write_bytes(data)
    _stores(directory)[-1].unlink()

    with pytest.raises(LogDamaged, match="synced mark is missing"):
        Log(directory, POLICY)
    assert _log("verify", directory).exit_code == 1


@pytest.mark.parametrize("name", ["copy", "9" * 20, "\u0661" * 20, "1"])
def test_stray_file_among_the_segments_is_refused(directory, name):
    """A copy beside its original would be read twice."""
    (directory / f"{name}.log").write_bytes(b"")

    with pytest.raises(LogDamaged, match="not the name of a segment"):
        Log(directory, POLICY)


@pytest.mark.parametrize("content", [None, b"", b"\x00" * 60, b"junk" * 40])
def test_index_that_does_not_fit_is_rebuilt(directory, content):
    """Missing, empty, zeroed or garbage: the same records are read."""
    path = min(directory.glob("*.index"))
    path.unlink() if content is None else path.write_bytes(content)
    log = Log(directory, POLICY)
    found = log.read(0, max_records=99, max_bytes=10**6, until=20)

    assert log.recovery.rebuilt_indexes == 1
    assert [r.value for r in found] == [b"value %02d" % n for n in range(20)]
    log.close()


def test_index_of_other_records_skips_none(tmp_path):
    """It fits by its numbers and leads too far: the store itself is looked at."""
    policy = Policy(segment_bytes=200, index_interval_bytes=8)
    for name, sizes in (("ours", (8, 8, 48)), ("others", (48, 8, 8))):
        log = Log(tmp_path / name, policy, clock=lambda: 1000.0)
        for size in (*sizes, 99):
            log.commit([[Record(bytes(size))]])
        log.close()
    index = min((tmp_path / "others").glob("*.index"))
    (tmp_path / "ours" / index.name).write_bytes(index.read_bytes())
    log = Log(tmp_path / "ours", policy)
    found = log.read(1, max_records=2, max_bytes=10**6, until=4)

    assert [record.offset for record in found] == [1, 2]
    log.close()


def test_dump_prints_records_from_an_offset(directory):
    """As lines, or as JSON with base64."""
    lines = _log("dump", directory, "--offset", 7, "--count", 2).stdout.splitlines()
    rows = _log("dump", directory, "--offset", 19, "--json").stdout.splitlines()

    assert [line.split()[0] for line in lines] == ["7", "8"]
    assert lines[0].endswith("key=b'k' 'h'=b'1' b'value 07'")
    assert json.loads(rows[0])["value"] == "dmFsdWUgMTk="


def test_stats_count_what_is_there(directory):
    """All together, as text and JSON."""
    found = json.loads(_log("stats", directory, "--json").stdout)

    assert (found["records"], found["next_offset"], found["synced_offset"]) == (
        *(20, 20),
        20,
    )
    assert found["segments"] == len(found["each"]) > 2
    assert "records        20" in _log("stats", directory).stdout


@pytest.mark.parametrize("command", ["verify", "stats", "dump", "repair"])
def test_directory_without_a_log_is_refused(command, tmp_path):
    """A name mistyped is not told to be whole, and nothing is written into it."""
    done = _log(command, tmp_path)

    assert done.exit_code == 2
    assert "holds no log" in done.stderr
    assert not list(tmp_path.iterdir())


def test_directory_of_several_streams_tells_their_names(directory):
    """That is what the service's own setting names."""
    done = _log("verify", directory.parent)

    assert done.exit_code == 2
    assert directory.name in done.stderr


def test_repair_of_a_log_in_use_is_refused(directory):
    """Exit code 1, nothing changed."""
    log = Log(directory, POLICY)
    done = _log("repair", directory)
    log.close()

    assert done.exit_code == 1
    assert "another process writes here" in done.stderr
