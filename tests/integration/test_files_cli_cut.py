"""`httpserver files` and a real service: large files, cut and gone on with."""

import json
import random
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest

from tests.support.files_cli import run
from tests.support.forwarder import forwarder
from tests.support.scrape import value
from tests.support.terminal import on_terminal
from tests.support.waiting import until

LARGE = 24 << 20
CUT = 10 << 20
OVER = 1 << 20
"""What ways that are cut may have let through beside, each a piece of it."""
RECEIVED = 'httpserver_files_bytes_total{direction="in"}'


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A file that is several parts, none like another."""
    file = tmp_path_factory.mktemp("source") / "large.bin"
    file.write_bytes(random.Random(1).randbytes(LARGE))
    return file


@contextmanager
def slow_way(service):
    """Gives a way to the service that can be cut."""
    with forwarder("127.0.0.1", urlsplit(service.url).port) as way:
        yield way, f"http://127.0.0.1:{way.port}"


def test_large_file_comes_in_parts(files, busy_file_service, large, tmp_path):
    """Each is a range of one version."""
    assert files("put", str(large), "--to", "parts.bin").exit_code == 0
    target = tmp_path / "copy"
    got = files("get", "parts.bin", "--to", str(target), "--parts", "3")

    assert got.exit_code == 0, got.stderr
    assert target.read_bytes() == large.read_bytes()
    assert [each.name for each in tmp_path.glob("copy*")] == ["copy"]
    until(lambda: len(parts(busy_file_service, "/files/parts.bin")) == 3)


def parts(service, path: str) -> list[dict]:
    """What was said of the ranges of a file."""
    told = {"path": path, "status": 206}
    return [line for line in list(service.log) if told.items() <= line.items()]


def interrupted(way, url: str, *arguments: str, part: Path | None = None) -> str:
    """Run a command until the way blocks, press Ctrl-C, and return what it showed."""
    way.most = CUT
    with on_terminal("files", *arguments, "--url", url) as terminal:
        until(way.blocked.is_set)
        if part is not None:  # what has passed may still be on its way
            until(lambda: part.stat().st_blocks * 512 > 1 << 20)
        terminal.type(b"\x03")
        assert terminal.await_exit() == 130, terminal.shown
    way.blocked.clear()
    assert "Traceback" not in terminal.shown
    return terminal.shown


@pytest.mark.parametrize("streams", ["1", "3"])
def test_interrupted_get_goes_on_where_it_stopped(
    files, busy_file_service, large, tmp_path, streams
):
    """Ctrl-C: 130, and the part is kept and told; the old file stays until the end."""
    files("put", str(large))
    target = tmp_path / "copy"
    target.write_text("old")
    command = ["get", "large.bin", "--to", str(target), "--parts", streams]
    with slow_way(busy_file_service) as (way, url):
        shown = interrupted(way, url, *command, part=tmp_path / "copy.part")
    assert "copy.part" in shown.replace("\r\n", "")
    assert "are kept" in shown.replace("\r\n", " ")
    assert target.read_text() == "old"
    left = json.loads((tmp_path / "copy.part.json").read_text())
    missing = sum(stop - start for start, stop in left["missing"])
    assert LARGE - CUT - OVER <= missing < LARGE
    with slow_way(busy_file_service) as (way, url):
        again = run(url, *command)
        passed = way.passed

    assert again.exit_code == 0, again.stderr
    assert target.read_bytes() == large.read_bytes()
    assert missing <= passed < missing + 20_000
    assert sorted(each.name for each in tmp_path.glob("copy*")) == ["copy"]


def test_interrupted_get_of_another_version_begins_anew(
    files, busy_file_service, large, tmp_path
):
    """Nothing of two versions is mixed."""
    files("put", str(large))
    target, other = tmp_path / "copy", tmp_path / "other"
    other.write_bytes(large.read_bytes()[::-1])
    command = ["get", "large.bin", "--to", str(target)]
    with slow_way(busy_file_service) as (way, url):
        interrupted(way, url, *command, part=tmp_path / "copy.part")
    files("put", str(other), "--to", "large.bin")

    assert files(*command).exit_code == 0
    assert target.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("command", ["get", "put"])
def test_transfer_that_is_cut_goes_on_by_itself(
    files, busy_file_service, large, tmp_path, command
):
    """Without a word."""
    files("put", str(large))
    target = tmp_path / "copy"
    arguments = {
        "get": ["get", "large.bin", "--to", str(target)],
        "put": ["put", str(large), "--to", "again"],
    }[command]
    with slow_way(busy_file_service) as (way, url):
        way.most = CUT
        call = [sys.executable, "-m", "service", "files", *arguments, "--url", url]
        with subprocess.Popen(call, stderr=subprocess.PIPE) as process:
            until(way.blocked.is_set)
            way.tear()
            _, told = process.communicate(timeout=120)

    assert (process.returncode, told) == (0, b"")
    if command == "put":
        assert files("get", "again", "--to", str(target)).exit_code == 0
    assert target.read_bytes() == large.read_bytes()


def test_interrupted_put_goes_on_where_it_stopped(
    files, busy_file_service, large, state
):
    """Ctrl-C: 130; the same command sends the rest, and nothing is seen before."""
    command = ["put", str(large), "--to", "new.bin"]
    before = value(busy_file_service, RECEIVED)
    with slow_way(busy_file_service) as (way, url):
        # what is remembered is of one URL
        shown = interrupted(way, url, *command)
        assert "are kept" in shown.replace("\r\n", " ")
        assert httpx.get(f"{busy_file_service.url}/files/new.bin").status_code == 404
        [noted] = state.iterdir()
        assert noted.stat().st_mode & 0o777 == 0o600
        upload = busy_file_service.url + json.loads(noted.read_text())["upload"]
        assert int(httpx.head(upload).headers["upload-offset"]) > 0
        again = run(url, *command)

    assert again.exit_code == 0, again.stderr
    assert value(busy_file_service, RECEIVED) - before == LARGE  # no byte came twice
    assert [*state.iterdir()] == []
    found = httpx.get(f"{busy_file_service.url}/files/new.bin")
    assert found.content == large.read_bytes()


def test_upload_that_has_gone_begins_anew(files, busy_file_service, large, state):
    """As when it has waited for too long."""
    command = ["put", str(large), "--to", "new.bin"]
    with slow_way(busy_file_service) as (way, url):
        interrupted(way, url, *command)
        [noted] = state.iterdir()
        upload = busy_file_service.url + json.loads(noted.read_text())["upload"]
        assert httpx.delete(upload).status_code == 204
        again = run(url, *command)

    assert again.exit_code == 0, again.stderr
    assert (
        httpx.get(f"{busy_file_service.url}/files/new.bin").content
        == large.read_bytes()
    )


def test_file_comes_with_one_that_has_the_name_of_its_part(files, large, tmp_path):
    """Neither takes the other's place, nor when they are there already."""
    (tmp_path / "s").mkdir()
    (tmp_path / "s/f").write_bytes(large.read_bytes())
    (tmp_path / "s/f.part").write_text("small")
    assert files("put", "-r", f"{tmp_path}/s").exit_code == 0
    for _ in range(2):
        got = files("get", "s/f.part", "s/f", "--to", f"{tmp_path}/out/")
        assert got.exit_code == 0, got.stderr
        for each in (tmp_path / "s").iterdir():
            assert (tmp_path / "out" / each.name).read_bytes() == each.read_bytes()
        assert len([*(tmp_path / "out").iterdir()]) == 2


def test_second_get_of_a_file_that_is_being_got_is_refused(
    files, busy_file_service, large, tmp_path
):
    """Two would write over each other."""
    files("put", str(large))
    command = ["get", "large.bin", "--to", str(tmp_path / "copy")]
    with slow_way(busy_file_service) as (way, url):
        way.most = CUT
        with on_terminal("files", *command, "--url", url) as terminal:
            until(way.blocked.is_set)
            second = files(*command)
            way.blocked.clear()
            assert terminal.await_exit() == 0
    assert second.exit_code == 1
    assert "another download writes it" in second.stderr
    assert "large.bin" in terminal.shown
