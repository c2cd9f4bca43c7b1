"""`httpserver files` and services that have no files, or give wrong ones."""

import json

import pytest

from tests.support.files import sha256
from tests.support.files_cli import run
from tests.support.process import serving
from tests.support.rogue import in_a_thread

pytestmark = pytest.mark.usefixtures("state")


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


@pytest.mark.parametrize("came", [b"thr", b"fiive", b""])
def test_file_of_another_size_than_was_told_is_none(tmp_path, came):
    """Where no digest is told either, the size is all that there is to compare."""
    target = tmp_path / "x"

    async def behave(peer) -> None:
        is_head = peer.head.startswith(b"HEAD")
        told = answer("200 OK", b"four" if is_head else came, etag='"1"')
        await peer.send(told.removesuffix(b"four"))

    with in_a_thread(behave) as rogue:
        for _ in range(2):  # what is kept is no whole file either
            done = run(rogue.url, "get", "x", "--to", str(target))
            assert done.exit_code == 1
            assert "is --url right?" in done.stderr
    assert not target.exists()


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
