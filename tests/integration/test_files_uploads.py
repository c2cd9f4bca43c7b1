"""Uploads through the real process: whole bodies and forms, or nothing."""

import socket
import threading

import pytest

from tests.support.files import (
    CONTENT,
    left_behind,
    listed,
    problem,
    sha256,
    upload_head,
)
from tests.support.waiting import until


def test_row_57_upload_cut_at_99_percent_leaves_nothing(file_service, file_client):
    """No file, no directory, nothing half written; the old version stays."""
    file_client.put("old", content=b"old")
    body = CONTENT * 40
    for path in ("new/f", "old"):
        with socket.create_connection(
            ("127.0.0.1", file_service.ports["httpserver"])
        ) as s:
            s.sendall(upload_head(path, len(body)))
            s.sendall(body[: len(body) * 99 // 100])
            until(lambda: left_behind(file_service.root) != [])
        until(lambda: left_behind(file_service.root) == [])

    assert listed(file_client) == ["old"]
    assert file_client.get("old").content == b"old"


def test_row_58_two_uploads_of_one_name_one_wins_whole(file_client):
    """The last rename wins; every reader sees one version from end to end."""
    contents = [bytes([n]) * 1_000_000 for n in range(4)]
    seen: list[bytes] = []
    threads = [
        threading.Thread(target=file_client.put, args=("f",), kwargs={"content": each})
        for each in contents
    ]
    file_client.put("f", content=contents[0])
    for each in threads:
        each.start()
    while any(each.is_alive() for each in threads):
        seen.append(file_client.get("f").content)
    seen.append(file_client.get("f").content)

    assert set(seen) <= set(contents)


def test_upload_with_another_digest_is_refused(file_client):
    """400 with a clear problem, and nothing is left; a right one is taken."""
    wrong = {"Repr-Digest": sha256(b"other")}

    assert (
        "sha-256" in file_client.put("f", content=b"x", headers=wrong).json()["detail"]
    )
    for headers, status in [
        ({"Content-Digest": sha256(b"other")}, 400),
        ({"Repr-Digest": "sha-256=no"}, 400),
        ({"Repr-Digest": "sha-256=:AAAA:"}, 400),
        ({"Repr-Digest": sha256(b"x"), "Content-Digest": sha256(b"y")}, 400),
        ({"Repr-Digest": "md5=:AAAA:"}, 201),
        ({"Repr-Digest": sha256(b"x"), "Content-Digest": sha256(b"x")}, 204),
    ]:
        answer = file_client.put("f", content=b"x", headers=headers)
        assert answer.status_code == status, headers
    assert listed(file_client) == ["f"]


def test_post_creates_and_never_replaces(file_client):
    """A file of the name that is given; 409 where there is one."""
    made = file_client.post("a/", params={"name": "b c.txt"}, content=b"x")

    assert (made.status_code, made.headers["location"]) == (201, "/files/a/b%20c.txt")
    assert (
        problem(file_client.post("a/", params={"name": "b c.txt"}, content=b"y")) == 409
    )
    assert problem(file_client.post("a/", content=b"y")) == 400
    assert problem(file_client.post("a", params={"name": "b"}, content=b"y")) == 400
    assert problem(file_client.post("a/", params={"name": "../b"}, content=b"y")) == 400
    assert file_client.get("a/b%20c.txt").content == b"x"


def test_form_with_files_is_taken(file_client):
    """All its files are there, and their places are told."""
    files = [
        ("f", ("one.txt", CONTENT)),
        ("f", ('zwei "ü".txt', b"2")),
        ("f", ("", b"")),
    ]
    answer = file_client.post("a/", files=files, data={"other": "field"})

    assert answer.status_code == 201
    assert listed(file_client, "a/") == ["one.txt", 'zwei "ü".txt']
    assert file_client.get("a/one.txt").content == CONTENT


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"--x\r\n",
        b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\ncut',
        b"--x\r\n" + b"A: " + b"b" * 20_000 + b"\r\n\r\n\r\n--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="f"\r\n\r\nv\r\n--x--\r\n',
    ],
)
def test_malformed_form_is_refused(file_client, body):
    """400, and no file is left of it."""
    kind = {"Content-Type": "multipart/form-data; boundary=x"}

    assert problem(file_client.post("", content=body, headers=kind)) == 400
    assert listed(file_client) == []


def test_boundary_that_is_too_long_is_refused(file_client):
    """400: no parser looks for it."""
    kind = {"Content-Type": f"multipart/form-data; boundary={'x' * 5000}"}

    assert problem(file_client.post("", content=b"--x--", headers=kind)) == 400


def test_file_above_the_limit_is_413(file_client):
    """Announced: before its body is asked for. Else: as soon as it is too long."""

    def pieces():
        for _ in range(60):
            yield b"x" * 100_000

    assert problem(file_client.put("f", content=pieces())) == 413
    assert problem(file_client.put("f", content=b"x" * 5_000_001)) == 413
    assert file_client.put("f", content=b"x" * 5_000_000).status_code == 201


def test_bodies_that_are_no_whole_file_are_refused(file_client):
    """A compressed one: 415. A part of one: 400."""
    gzip, part = {"Content-Encoding": "gzip"}, {"Content-Range": "bytes 0-0/2"}

    assert problem(file_client.put("f", content=b"x", headers=gzip)) == 415
    assert problem(file_client.put("f", content=b"x", headers=part)) == 400


def test_file_in_the_way_is_409(file_client):
    """A file is no directory, and a directory no file."""
    file_client.put("a/f", content=b"x")

    assert problem(file_client.put("a", content=b"x")) == 409
    assert problem(file_client.put("a/f/g", content=b"x")) == 409


def test_page_of_another_site_changes_nothing(file_client):
    """A browser that is misused is refused; pages of this host are not."""
    other = {"Origin": "https://evil.example"}
    own = {"Origin": str(file_client.base_url).removesuffix("/files/")}

    for method in ("PUT", "DELETE"):
        assert problem(file_client.request(method, "f", headers=other)) == 403
    assert problem(file_client.post("?name=f", headers=other)) == 403
    for broken in ("null", "http://[", "http://[::1"):
        assert problem(file_client.put("f", headers={"Origin": broken})) == 403
    assert file_client.put("f", content=b"x", headers=own).status_code == 201
