"""`httpserver files` and a real service: up, down, listed and removed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.support.files_cli import piped
from tests.support.terminal import on_terminal


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


def test_listing_is_for_eyes_and_for_programs(files, busy_file_service, tmp_path):
    """Size, time and path between tabs, JSON, or a table on a terminal."""
    (tmp_path / "a").write_bytes(b"x" * 2000)
    files("put", str(tmp_path / "a"), "--to", "d/e/a")
    plain, deep = files("ls", "d"), files("ls", "-r", "--json")
    one = files("ls", "d/e/a")
    with on_terminal("files", "ls", "d/e", "--url", busy_file_service.url) as terminal:
        assert terminal.await_exit() == 0

    assert plain.stdout == "\t\td/e/\n"
    told = json.loads(deep.stdout)
    assert (told["path"], told["size"], told["type"]) == ("d/e/a", 2000, "file")
    assert one.stdout.startswith("2000\t")
    assert "2.0 KiB" in terminal.shown
    assert "d/e/a" in terminal.shown


@pytest.mark.parametrize("size", [0, 10, 1 << 20, 3_000_001])
def test_pipes_are_taken_and_given(busy_file_service, files, size):
    """`-` is standard input, and standard output."""
    data = os.urandom(size)
    put = piped(busy_file_service.url, "put", "-", "--to", "piped", data=data)
    got = piped(busy_file_service.url, "get", "piped", "--to", "-")

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


def test_file_that_is_there_may_be_kept(files, busy_file_service, tmp_path):
    """The same content is no failure: it is what was wanted."""
    for name in ("mine", "theirs"):
        (tmp_path / name).write_text(name)
    files("put", str(tmp_path / "theirs"), "--to", "x")
    refused = files("put", str(tmp_path / "mine"), "--to", "x", "--no-replace")
    same = files("put", str(tmp_path / "theirs"), "--to", "x", "--no-replace")

    assert (refused.exit_code, same.exit_code) == (1, 0)
    assert refused.stderr == "x: a file is there already\n"
    assert httpx.get(f"{busy_file_service.url}/files/x").text == "theirs"


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


def test_name_that_is_no_text_keeps_no_other_file(files, tmp_path):
    """A disk has any bytes as names, a service has text alone; it may get another."""
    odd = tmp_path / "d" / "\udcff"
    odd.parent.mkdir()
    for each in (odd, odd.with_name("fine")):
        each.write_text("x")
    put = files("put", "-r", str(odd.parent))
    named = files("put", str(odd), "--to", "named", "--json")

    assert (put.exit_code, named.exit_code) == (1, 0)
    assert "its name is no text" in put.stderr
    assert files("ls", "d").stdout.endswith("\td/fine\n")
    assert json.loads(named.stdout)["file"] == str(odd)


def test_stream_that_is_closed_is_told(busy_file_service, files, tmp_path):
    """No trace: there is nothing to read from, or to write to."""
    (tmp_path / "a").write_text("a")
    files("put", str(tmp_path / "a"))
    call = [sys.executable, "-m", "service", "files"]
    for closed, command in {
        "<&-": ["put", "-", "--to", "x"],
        ">&-": ["get", "a", "--to", "-"],
    }.items():
        script = ["sh", "-c", f'exec "$@" {closed}', "sh"]
        done = subprocess.run(
            [*script, *call, *command, "--url", busy_file_service.url],
            stderr=subprocess.PIPE,
            check=False,
        )
        assert done.returncode == 2
        assert b"Traceback" not in done.stderr


def test_names_that_a_terminal_has_no_letters_for_are_escaped(
    files, busy_file_service, tmp_path, monkeypatch
):
    """Output is in the encoding of the locale, which may be a small one."""
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    (tmp_path / "ü€").write_text("a")
    files("put", str(tmp_path / "ü€"))
    shown = piped(busy_file_service.url, "ls")

    assert (shown.returncode, shown.stderr) == (0, b"")
    assert shown.stdout.endswith("\tü\\u20ac\n".encode("latin-1"))


def test_file_that_is_not_there_makes_no_directory(files, tmp_path):
    """There is nothing to put in."""
    assert files("get", "nothing", "--to", f"{tmp_path}/out/").exit_code == 1
    assert not (tmp_path / "out").exists()


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
        (["get", "x/a", "y/a"], 2, "x/a and y/a would both be a"),
        (["get", "d/"], 2, "-r gets all in it"),
        (["get", "\udcff"], 2, "a path is text in UTF-8"),
        (["ls", "\udcff"], 2, "a path is text in UTF-8"),
        (["rm", "\udcff"], 2, "a path is text in UTF-8"),
        (["put", "{a}", "--to", "\udcff"], 2, "a path is text in UTF-8"),
        (["put", "n" * 300], 2, "there is no such file"),
        (["get", "a", "--to", "{a}" + "n" * 300], 1, "File name too long"),
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
