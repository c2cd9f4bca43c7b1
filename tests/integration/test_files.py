"""Files through the real process: what went in comes out, whole and in parts."""

import os
import socket

import httpx2 as httpx
import pytest

from tests.support.files import (
    CONTENT,
    listed,
    problem,
    sha256,
)
from tests.support.raw_http import RawConnection, get


def test_file_lives_from_put_to_delete(file_client):
    """Each step answers with the version, and a download is what was uploaded."""
    put = file_client.put("a/b.bin", content=CONTENT)
    again = file_client.put("a/b.bin", content=CONTENT[::-1])
    got = file_client.get("a/b.bin")
    head = file_client.head("a/b.bin")

    assert (put.status_code, put.headers["location"]) == (201, "/files/a/b.bin")
    assert put.headers["repr-digest"] == sha256(CONTENT)
    assert again.status_code == 204
    assert again.headers["etag"] == got.headers["etag"] != put.headers["etag"]
    assert got.content == CONTENT[::-1]
    assert got.headers["repr-digest"] == sha256(CONTENT[::-1])
    assert got.headers["accept-ranges"] == "bytes"
    assert "last-modified" in got.headers
    dated = {"date", "x-request-id"}
    assert {k: v for k, v in head.headers.items() if k not in dated} == {
        k: v for k, v in got.headers.items() if k not in dated
    }
    assert file_client.delete("a/b.bin").status_code == 204
    assert problem(file_client.get("a/b.bin")) == 404
    assert problem(file_client.delete("a/b.bin")) == 404
    assert problem(file_client.get("a/")) == 404
    assert listed(file_client) == []


def test_conditional_requests_meet_the_version_that_was_meant(file_client):
    """304 for what is known, 412 for what has changed, no file made over another."""
    etag = file_client.put("f", content=b"1").headers["etag"]
    modified = file_client.head("f").headers["last-modified"]

    def status(method: str, **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = b"2" if method == "PUT" else None
        return file_client.request(method, "f", headers=named, content=body).status_code

    assert status("GET", if_none_match=etag) == 304
    assert status("GET", if_none_match=f'"x", W/{etag}') == 304
    assert status("GET", if_modified_since=modified) == 304
    assert status("GET", if_none_match='"x"', if_modified_since=modified) == 200
    assert status("GET", if_match='"x"') == 412
    assert status("GET", if_unmodified_since="Thu, 01 Jan 1970 00:00:00 GMT") == 412
    assert status("GET", if_modified_since="no date") == 200
    assert status("PUT", if_none_match="*") == 412
    for line in (etag, "*"):
        lines = [("if-none-match", '"x"'), ("if-none-match", line)]
        assert file_client.put("f", content=b"x", headers=lines).status_code == 412
        assert file_client.get("f", headers=lines).status_code == 304
    assert status("PUT", if_match='"x"') == 412
    assert status("PUT", if_match=f"W/{etag}") == 412
    assert status("DELETE", if_match='"x"') == 412
    assert status("PUT", if_match=etag) == 204
    assert status("PUT", if_match=etag) == 412
    assert file_client.get("f").content == b"2"
    assert (
        file_client.put("g", content=b"", headers={"If-Match": "*"}).status_code == 412
    )


ROW_55 = [
    (b"/files/../../etc/passwd", 400),
    (b"/files/%2e%2e/%2e%2e/etc/passwd", 400),
    (b"/files/%2e%2e%2fetc/passwd", 400),
    (b"/files/..\\..\\etc\\passwd", 400),
    (b"/files/..%5cpasswd", 400),
    (b"/files/%2fetc/passwd", 400),
    (b"//files//etc/passwd", 404),
    (b"/files/a%00.txt", 400),
    (b"/files/a%0d%0ab", 400),
    (b"/files/CON", 400),
    (b"/files/a/lpt1.txt", 400),
    (b"/files/" + b"x" * 300, 400),
    (b"/files/" + b"a/" * 40 + b"f", 400),
    (b"/files/.", 400),
    (b"/files/a/./b", 400),
    (b"/files/a.", 400),
    (b"/files/a%20", 400),
    (b"/files/%ff", 400),
    (b"/files/%e2%80%aetxt.exe", 400),
    (b"/files/.uploads/usage", 400),
    (b"/files/.UPLOADS/usage", 400),
    (b"/files/.uploads/", 400),
    (b"/files/nothing", 404),
]


@pytest.mark.parametrize(("path", "status"), ROW_55, ids=lambda each: str(each)[:40])
def test_row_55_name_that_leads_elsewhere_is_refused(
    file_service, file_client, path, status
):
    """Reading and writing it: 400, and nothing is made in or out of the root."""
    port = file_service.ports["httpserver"]
    for method in (b"GET", b"PUT"):
        line = method + b" " + path + b" HTTP/1.1\r\nHost: localhost\r\n"
        with RawConnection(port) as connection:
            connection.send(line + b"Content-Length: 1\r\n\r\nx")
            answer = connection.answer()
        if method == b"PUT" and status == 404:
            assert answer.status in (201, 404, 405)
            (file_service.root / "nothing").unlink(missing_ok=True)
            (file_service.root / "etc/passwd").unlink(missing_ok=True)
        else:
            assert answer.status == status
    assert [each for each in file_service.root.iterdir() if each.is_file()] == []


def test_row_56_links_and_pipes_are_not_there(file_service, file_client, tmp_path):
    """A link, a second name and a pipe are no files, and nobody waits for one."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    root = file_service.root
    (root / "real").mkdir()
    (root / "real/f").write_text("f")
    (root / "link").symlink_to(secret)
    (root / "directory").symlink_to(tmp_path)
    (root / "inside").symlink_to("real")
    os.link(secret, root / "hard")
    os.mkfifo(root / "pipe")

    for path in ("link", "directory/secret", "inside/f", "hard", "pipe", "inside/"):
        assert problem(file_client.get(path)) == 404, path
        assert file_client.delete(path).status_code == (400 if path[-1] == "/" else 404)
    for path in ("directory/new", "inside/new"):
        assert problem(file_client.put(path, content=b"x")) == 409, path
    assert listed(file_client) == ["real"]
    assert file_client.put("link", content=b"mine").status_code == 201
    assert file_client.put("hard", content=b"mine").status_code == 201
    assert secret.read_text() == "secret"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["secret"]


SIZE = len(CONTENT)


ROW_59 = [
    ("bytes=9-", 206, CONTENT[9:]),
    ("bytes=0-0", 206, CONTENT[:1]),
    ("bytes=-1", 206, CONTENT[-1:]),
    (f"bytes=-{SIZE * 2}", 206, CONTENT),
    (f"bytes=5-{'9' * 30}", 206, CONTENT[5:]),
    ("bytes=0-4,2-9,10-11", 206, CONTENT[:12]),
    ("bytes=,0-4 ,", 206, CONTENT[:5]),
    (f"bytes={SIZE}-", 416, None),
    ("bytes=-0", 416, None),
    ("bytes=" + ",".join(f"{n}-{n}" for n in range(0, 1700, 100)), 416, None),
    ("bytes=" + "0-," * 1300, 416, None),
    ("bytes=9-5", 200, CONTENT),
    ("bytes=a-b", 200, CONTENT),
    ("bytes=0-1,x", 200, CONTENT),
    ("bytes=--1", 200, CONTENT),
    ("bytes=", 200, CONTENT),
    ("lines=0-1", 200, CONTENT),
    ("0-1", 200, CONTENT),
]


@pytest.mark.parametrize(
    ("asked", "status", "content"), ROW_59, ids=[each[0][:30] for each in ROW_59]
)
def test_row_59_range_is_answered_by_its_bytes(file_client, asked, status, content):
    """206 with what was asked for, 416 for what is not there, 200 for nonsense."""
    file_client.put("f.bin", content=CONTENT)
    answer = file_client.get("f.bin", headers={"Range": asked})

    assert answer.status_code == status
    if status == 416:
        assert problem(answer) == 416
        assert answer.headers["content-range"] == f"bytes */{SIZE}"
        return
    assert answer.content == content
    if status == 206:
        start = CONTENT.index(content) if len(content) > 600 else None
        told = answer.headers["content-range"]
        assert told.endswith(f"/{SIZE}")
        assert start is None or told.startswith("bytes ")
        assert answer.headers["repr-digest"] == sha256(CONTENT)


def test_row_59_several_ranges_come_as_parts(file_client):
    """Each part tells where it is from, and the length is that of the answer."""
    file_client.put("f.bin", content=CONTENT)
    asked = {"Range": "bytes=1000-1009,0-4,-3"}
    answer = file_client.get("f.bin", headers=asked)
    kind, _, boundary = answer.headers["content-type"].partition("; boundary=")
    *parts, end = answer.content.split(f"\r\n--{boundary}".encode())[1:]

    assert (answer.status_code, kind) == (206, "multipart/byteranges")
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert end == b"--\r\n"
    assert [part.partition(b"\r\n\r\n")[2] for part in parts] == [
        CONTENT[:5],
        CONTENT[1000:1010],
        CONTENT[-3:],
    ]
    assert f"bytes 1000-1009/{SIZE}".encode() in parts[1]
    assert "content-range" not in answer.headers


def test_row_59_if_range_of_another_version_gets_all_of_it(file_client):
    """A part is of use only to who has the rest of the same version."""
    etag = file_client.put("f", content=CONTENT).headers["etag"]
    date = file_client.head("f").headers["last-modified"]

    for named, status in [(etag, 206), (date, 206), ('"x"', 200), (f"W/{etag}", 200)]:
        headers = {"Range": "bytes=0-4", "If-Range": named}
        assert file_client.get("f", headers=headers).status_code == status, named


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("plain.txt", 'inline; filename="plain.txt"'),
        ("plain.zip", 'attachment; filename="plain.zip"'),
        ('a"b.zip', "attachment; filename=\"a_b.zip\"; filename*=UTF-8''a%22b.zip"),
        (
            "ü张.zip",
            "attachment; filename=\"__.zip\"; filename*=UTF-8''%C3%BC%E5%BC%A0.zip",
        ),
    ],
)
def test_row_60_any_name_is_told_so_that_it_is_saved(file_client, name, told):
    """RFC 6266 and 8187: nothing of a name can end the header or its parameter."""
    file_client.put(name, content=b"x")

    assert file_client.get(name).headers["content-disposition"] == told


@pytest.mark.parametrize("name", ["x.html", "x.svg", "x.js", "x.xml", "x.XHTML", "x"])
def test_active_content_is_saved_and_never_run(file_client, name):
    """What a browser would run is an attachment, in a sandbox, and not sniffed."""
    script = b"<script>alert(1)</script>"
    file_client.put(name, content=script, headers={"content-type": "text/html"})
    answer = file_client.get(name)

    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_directory_is_listed_in_pages(file_client):
    """Each page leads to the next, and a directory's URL to its files."""
    for path in ("a", "b c/d", "é", "z"):
        file_client.put(path, content=b"xy")
    names, url = [], "/files/?limit=3"
    while url:
        page = file_client.get(file_client.base_url.join(url)).json()
        names += page["items"]
        url = page["next"]

    assert [each["name"] for each in names] == ["a", "b c", "z", "é"]
    assert (names[0]["size"], names[0]["url"]) == (2, "/files/a")
    assert names[1] == {"name": "b c", "type": "directory", "url": "/files/b%20c/"}
    assert file_client.get("b%20c/").json()["path"] == "b c/"
    moved = file_client.get("b%20c")
    assert (moved.status_code, moved.headers["location"]) == (308, "/files/b%20c/")
    for wrong in ("0", "x", "000000001" + "9" * 20, "000000001" + "0" * 5000):
        assert problem(file_client.get(f"?limit={wrong}")) == 400


def test_bytes_and_outcomes_are_measured(file_service, file_client):
    """What came, went and is there, and what uploads came to."""
    file_client.put("f", content=b"x" * 1000)
    file_client.get("f")
    told = httpx.get(f"{file_service.admin_url}/metrics").text

    for name in (
        'httpserver_files_bytes_total{direction="in"}',
        'httpserver_files_bytes_total{direction="out"}',
        'httpserver_files_uploads_total{outcome="stored"}',
        'httpserver_files_uploads_total{outcome="cut"}',
        "httpserver_files_stored_bytes",
        "httpserver_files_stored_files",
    ):
        assert name in told


def test_slow_reader_does_not_hold_others_up(file_service, file_client):
    """A download that nobody takes waits, and memory does not grow by the file."""
    file_client.put("big", content=CONTENT * 40)
    with socket.create_connection(
        ("127.0.0.1", file_service.ports["httpserver"])
    ) as slow:
        slow.sendall(get(b"/files/big") * 10)
        for _ in range(20):
            assert file_client.get("big").status_code == 200
