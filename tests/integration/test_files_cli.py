"""`httpserver files` and a real service: up, down, cut, and gone on with."""

import hashlib
import json
import os
import random
import subprocess
import sys
from base64 import b64encode
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest
from typer.testing import CliRunner, Result

from service.cli import app
from tests.support.forwarder import forwarder
from tests.support.process import serving
from tests.support.rogue import in_a_thread
from tests.support.scrape import value
from tests.support.terminal import on_terminal
from tests.support.waiting import until

LARGE = 24 << 20
CUT = 10 << 20
RECEIVED = 'httpserver_files_bytes_total{direction="in"}'


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    root = tmp_path_factory.mktemp("files")
    settings = {"files__enabled": True, "files__root": root}
    with serving(**settings, throttle__enabled=False) as running:
        yield running


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A file that is several parts, none like another."""
    file = tmp_path_factory.mktemp("source") / "large.bin"
    file.write_bytes(random.Random(1).randbytes(LARGE))
    return file


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """Where uploads are remembered."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "httpserver" / "uploads"


@pytest.fixture
def files(service):
    """Runs a command against the service, which has no file at its begin."""
    yield lambda *arguments: run(service.url, *arguments)
    for line in run(service.url, "ls", "-r").stdout.splitlines():
        assert run(service.url, "rm", line.split("\t")[2]).exit_code == 0


def run(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["files", *arguments, "--url", url])


def piped(url: str, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "service", "files", *arguments, "--url", url]
    return subprocess.run(command, input=data, capture_output=True, check=False)


@contextmanager
def slow_way(service):
    """Gives a way to the service that can be cut."""
    with forwarder("127.0.0.1", urlsplit(service.url).port) as way:
        yield way, f"http://127.0.0.1:{way.port}"


def test_files_go_up_and_come_down_as_they_were(files, tmp_path):
    """Whatever their size and name; what was done is told as JSON."""
    sources = []
    for name, size in {"empty": 0, "ä b%20#?.txt": 5, "pieces": (1 << 20) + 1}.items():
        (tmp_path / name).write_bytes(os.urandom(size))
        sources.append(str(tmp_path / name))
    put = files("put", *sources, "--to", "in/ü/", "--json")
    names = [f"in/ü/{Path(each).name}" for each in sources]
    got = files("get", *names, "--to", f"{tmp_path}/out/", "--json")

    told = [json.loads(line) for line in put.stdout.splitlines()]
    assert (put.exit_code, got.exit_code) == (0, 0), put.stderr + got.stderr
    assert {each["path"] for each in told} == {*names}
    assert all(each["created"] and each["etag"] for each in told)
    for line in map(json.loads, got.stdout.splitlines()):
        assert line["verified"] == ["sha-256"]
        source = tmp_path / Path(line["path"]).name
        assert Path(line["file"]).read_bytes() == source.read_bytes()
        assert line["size"] == source.stat().st_size
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == sorted(
        Path(each).name for each in sources
    )


def test_listing_is_for_eyes_and_for_programs(files, service, tmp_path):
    """Size, time and path between tabs, JSON, or a table on a terminal."""
    (tmp_path / "a").write_bytes(b"x" * 2000)
    files("put", str(tmp_path / "a"), "--to", "d/e/a")
    plain, deep = files("ls", "d"), files("ls", "-r", "--json")
    one = files("ls", "d/e/a")
    with on_terminal("files", "ls", "d/e", "--url", service.url) as terminal:
        assert terminal.await_exit() == 0

    assert plain.stdout == "\t\td/e/\n"
    told = json.loads(deep.stdout)
    assert (told["path"], told["size"], told["type"]) == ("d/e/a", 2000, "file")
    assert one.stdout.startswith("2000\t")
    assert "2.0 KiB" in terminal.shown
    assert "d/e/a" in terminal.shown


def test_large_file_comes_in_parts(files, service, large, tmp_path):
    """Each is a range of one version."""
    assert files("put", str(large)).exit_code == 0
    target = tmp_path / "copy"
    before = len(parts(service))
    got = files("get", "large.bin", "--to", str(target), "--parts", "3")

    assert got.exit_code == 0, got.stderr
    assert target.read_bytes() == large.read_bytes()
    assert [each.name for each in tmp_path.glob("copy*")] == ["copy"]
    until(lambda: len(parts(service)) - before == 3)


def parts(service) -> list[dict]:
    return [line for line in list(service.log) if line.get("status") == 206]


def interrupted(way, url: str, *arguments: str, part: Path | None = None) -> str:
    """Run a command until the way blocks, press Ctrl-C, and return what it showed."""
    way.most = CUT
    with on_terminal("files", *arguments, "--url", url) as terminal:
        until(way.blocked.is_set, limit=30)
        if part is not None:  # what has passed may still be on its way
            until(lambda: part.stat().st_blocks * 512 > 1 << 20, limit=30)
        terminal.type(b"\x03")
        assert terminal.await_exit() == 130, terminal.shown
    way.blocked.clear()
    assert "Traceback" not in terminal.shown
    return terminal.shown


@pytest.mark.parametrize("streams", ["1", "3"])
def test_interrupted_get_goes_on_where_it_stopped(
    files, service, large, tmp_path, streams
):
    """Ctrl-C: 130, and the part is kept and told; the old file stays until the end."""
    files("put", str(large))
    target = tmp_path / "copy"
    target.write_text("old")
    command = ["get", "large.bin", "--to", str(target), "--parts", streams]
    with slow_way(service) as (way, url):
        shown = interrupted(way, url, *command, part=tmp_path / "copy.part")
    assert "copy.part" in shown.replace("\r\n", "")
    assert "are kept" in shown.replace("\r\n", " ")
    assert target.read_text() == "old"
    left = json.loads((tmp_path / "copy.part.json").read_text())
    missing = sum(stop - start for start, stop in left["missing"])
    assert LARGE - CUT <= missing < LARGE
    with slow_way(service) as (way, url):
        again = run(url, *command)
        passed = way.passed

    assert again.exit_code == 0, again.stderr
    assert target.read_bytes() == large.read_bytes()
    assert missing <= passed < missing + 20_000
    assert sorted(each.name for each in tmp_path.glob("copy*")) == ["copy"]


def test_interrupted_get_of_another_version_begins_anew(
    files, service, large, tmp_path
):
    """Nothing of two versions is mixed."""
    files("put", str(large))
    target, other = tmp_path / "copy", tmp_path / "other"
    other.write_bytes(large.read_bytes()[::-1])
    command = ["get", "large.bin", "--to", str(target)]
    with slow_way(service) as (way, url):
        interrupted(way, url, *command, part=tmp_path / "copy.part")
    files("put", str(other), "--to", "large.bin")

    assert files(*command).exit_code == 0
    assert target.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("command", ["get", "put"])
def test_transfer_that_is_cut_goes_on_by_itself(
    files, service, large, tmp_path, command
):
    """Without a word."""
    files("put", str(large))
    target = tmp_path / "copy"
    arguments = {
        "get": ["get", "large.bin", "--to", str(target)],
        "put": ["put", str(large), "--to", "again"],
    }[command]
    with slow_way(service) as (way, url):
        way.most = CUT
        call = [sys.executable, "-m", "service", "files", *arguments, "--url", url]
        with subprocess.Popen(call, stderr=subprocess.PIPE) as process:
            until(way.blocked.is_set, limit=30)
            way.cut.set()
            way.blocked.clear()
            way.cut.clear()
            _, told = process.communicate(timeout=60)

    assert (process.returncode, told) == (0, b"")
    if command == "put":
        assert files("get", "again", "--to", str(target)).exit_code == 0
    assert target.read_bytes() == large.read_bytes()


def test_interrupted_put_goes_on_where_it_stopped(files, service, large, state):
    """Ctrl-C: 130; the same command sends the rest, and nothing is seen before."""
    command = ["put", str(large), "--to", "new.bin"]
    before = value(service, RECEIVED)
    with slow_way(service) as (way, url):
        # what is remembered is of one URL
        shown = interrupted(way, url, *command)
        assert "are kept" in shown.replace("\r\n", " ")
        assert httpx.get(f"{service.url}/files/new.bin").status_code == 404
        [noted] = state.iterdir()
        assert noted.stat().st_mode & 0o777 == 0o600
        upload = service.url + json.loads(noted.read_text())["upload"]
        assert int(httpx.head(upload).headers["upload-offset"]) > 0
        again = run(url, *command)

    assert again.exit_code == 0, again.stderr
    assert value(service, RECEIVED) - before == LARGE  # no byte came twice
    assert [*state.iterdir()] == []
    found = httpx.get(f"{service.url}/files/new.bin")
    assert found.content == large.read_bytes()


def test_upload_that_has_gone_begins_anew(files, service, large, state):
    """As when it has waited for too long."""
    command = ["put", str(large), "--to", "new.bin"]
    with slow_way(service) as (way, url):
        interrupted(way, url, *command)
        [noted] = state.iterdir()
        upload = service.url + json.loads(noted.read_text())["upload"]
        assert httpx.delete(upload).status_code == 204
        again = run(url, *command)

    assert again.exit_code == 0, again.stderr
    assert httpx.get(f"{service.url}/files/new.bin").content == large.read_bytes()


@pytest.mark.parametrize("size", [0, 10, 1 << 20, 3_000_001])
def test_pipes_are_taken_and_given(service, files, size):
    """`-` is standard input, and standard output."""
    data = os.urandom(size)
    put = piped(service.url, "put", "-", "--to", "piped", data=data)
    got = piped(service.url, "get", "piped", "--to", "-")

    assert (put.returncode, got.returncode) == (0, 0), put.stderr + got.stderr
    assert got.stdout == data


def test_directories_go_and_come_with_all_in_them(files, tmp_path):
    """Put, got and removed; a link that leads nowhere and a pipe are left out."""
    tree = tmp_path / "tree"
    for name in ["a", "b/c", "b/d/e.txt"]:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    os.mkfifo(tree / "pipe")
    refused = files("put", str(tree))
    put = files("put", "-r", str(tree))
    without = files("get", "tree", "--to", f"{tmp_path}/out/")
    got = files("get", "-r", "tree", "--to", f"{tmp_path}/out/")
    kept, gone = files("rm", "tree"), files("rm", "-r", "tree")

    assert (refused.exit_code, put.exit_code) == (2, 0)
    assert "pipe is no file" in put.stderr
    assert (without.exit_code, got.exit_code) == (1, 0), got.stderr
    assert "-r gets all in it" in without.stderr
    for name in ["a", "b/c", "b/d/e.txt"]:
        assert (tmp_path / "out/tree" / name).read_text() == name
    assert (kept.exit_code, gone.exit_code) == (1, 0)
    assert files("ls").stdout == ""


def test_file_that_is_there_may_be_kept(files, service, tmp_path):
    """The same content is no failure: it is what was wanted."""
    for name in ("mine", "theirs"):
        (tmp_path / name).write_text(name)
    files("put", str(tmp_path / "theirs"), "--to", "x")
    refused = files("put", str(tmp_path / "mine"), "--to", "x", "--no-replace")
    same = files("put", str(tmp_path / "theirs"), "--to", "x", "--no-replace")

    assert (refused.exit_code, same.exit_code) == (1, 0)
    assert refused.stderr == "x: a file is there already\n"
    assert httpx.get(f"{service.url}/files/x").text == "theirs"


def test_what_one_is_refused_for_keeps_no_other(files, tmp_path):
    """Exit code 1; the others are there."""
    for name in ("CON", "fine"):
        (tmp_path / name).write_text(name)
    put = files("put", str(tmp_path / "CON"), str(tmp_path / "fine"))
    got = files("get", "nothing", "fine", "--to", f"{tmp_path}/out/")
    gone = files("rm", "nothing", "fine")
    forced = files("rm", "-f", "nothing")

    assert [each.exit_code for each in (put, got, gone, forced)] == [1, 1, 1, 0]
    assert "device" in put.stderr
    assert got.stderr == "nothing: there is no such file\n"
    assert gone.stderr == "nothing: there is no such file\n"
    assert (tmp_path / "out/fine").read_text() == "fine"
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["fine"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["put", "/nothing/here"], 2, "there is no such file"),
        (["put", "{a}", "{b}", "--to", "x"], 2, "want a directory: x/"),
        (["put", "{a}", "{a}"], 2, "would both be a"),
        (["put", "-"], 2, "whose name --to tells"),
        (["put", "-", "--to", "d/"], 2, "whose name --to tells"),
        (["put", "{a}", "--to", "../x"], 2, "no empty or dotted names"),
        (["put", "{a}", "--to", "x", "--parts", "0"], 2, "--parts"),
        (["get", "a", "b", "--to", "{a}"], 2, "want a directory"),
        (["get", "a", "b", "--to", "-"], 2, "for one file"),
        (["get", "d/"], 2, "-r gets all in it"),
        (["get", "x/.."], 2, "no empty or dotted names"),
        (["ls", "a//b"], 2, "no empty or dotted names"),
        (["get", "a", "--to", "{a}/x"], 1, "can't write"),
        (["ls", "nothing"], 1, "there is no such file"),
        (["ls", "nothing/"], 1, "there is no such directory"),
        (["rm", "/"], 2, "not removed at once"),
        (["rm", "../x"], 2, "no empty or dotted names"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_can_not_be_done_is_told_in_a_line(files, tmp_path, arguments, code, told):
    """No trace, and the exit code tells whose fault it is."""
    for name in "ab":
        (tmp_path / name).write_text(name)
    files("put", str(tmp_path / "a"))
    given = [each.format(a=tmp_path / "a", b=tmp_path / "b") for each in arguments]
    done = files(*given)

    assert done.exit_code == code, done.stderr
    assert told in " ".join(done.stderr.replace("│", "").split())
    assert "Traceback" not in done.stderr


def test_service_without_files_and_nobody_at_all(tmp_path):
    """A hint, and 4 where nobody answers."""
    (tmp_path / "a").write_text("a")
    with serving() as service:
        answers = [
            run(service.url, "ls"),
            run(service.url, "get", "a", "--to", f"{tmp_path}/b"),
            run(service.url, "put", str(tmp_path / "a")),
            run(service.url, "rm", "a"),
        ]
    away = run("http://127.0.0.1:1", "ls", "--retries", "0")

    assert [each.exit_code for each in answers] == [1, 1, 1, 1]
    assert all("404" in each.stderr for each in answers)
    assert "is it switched on" in answers[0].stderr
    assert away.exit_code == 4
    assert not (tmp_path / "b").exists()


def answer(status: str, body: bytes, **headers: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = [f"HTTP/1.1 {status}", *lines, f"content-length: {len(body)}", "", ""]
    return "\r\n".join(head).encode() + body


def sha256(data: bytes) -> str:
    return f"sha-256=:{b64encode(hashlib.sha256(data).digest()).decode()}:"


def test_file_that_came_damaged_is_thrown_away(tmp_path):
    """The digest is another: nothing of it stays, and what was there does."""
    target = tmp_path / "x"
    target.write_text("old")
    found = answer("200 OK", b"four", etag='"1"', repr_digest=sha256(b"five"))

    async def behave(peer) -> None:
        is_head = peer.head.startswith(b"HEAD")
        await peer.send(found.removesuffix(b"four") if is_head else found)

    with in_a_thread(behave) as rogue:
        done = run(rogue.url, "get", "x", "--to", str(target))
        piped_out = run(rogue.url, "get", "x", "--to", "-")

    assert (done.exit_code, piped_out.exit_code) == (1, 1)
    assert "another sha-256" in done.stderr
    assert "another sha-256" in piped_out.stderr
    assert target.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/etc/x", "a\\b", "a\0b", 1])
def test_names_of_a_listing_lead_nowhere_else(tmp_path, name):
    """A service that means harm writes no file outside of the directory."""
    entry = {"name": name, "type": "file", "url": "/files/x", "size": 1}
    page = json.dumps({"path": "", "items": [entry], "next": None}).encode()

    async def behave(peer) -> None:
        await peer.send(answer("200 OK", page, content_type="application/json"))

    with in_a_thread(behave) as rogue:
        done = run(rogue.url, "get", "-r", "/", "--to", f"{tmp_path}/out/")

    assert done.exit_code == 1
    assert "no file server" in done.stderr
    assert [*tmp_path.rglob("*")] == []


def test_second_get_of_a_file_that_is_being_got_is_refused(
    files, service, large, tmp_path
):
    """Two would write over each other."""
    files("put", str(large))
    command = ["get", "large.bin", "--to", str(tmp_path / "copy")]
    with slow_way(service) as (way, url):
        way.most = CUT
        with on_terminal("files", *command, "--url", url) as terminal:
            until(way.blocked.is_set, limit=30)
            second = files(*command)
            way.blocked.clear()
            assert terminal.await_exit() == 0
    assert second.exit_code == 1
    assert "another download writes it" in second.stderr
    assert "large.bin" in terminal.shown
