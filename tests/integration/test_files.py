"""The file server through the real process: what goes in comes out, or nothing does."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.support.files import left_behind, settings, sha256
from tests.support.process import serving
from tests.support.raw_http import RawConnection, get
from tests.support.waiting import until

CONTENT = bytes(range(256)) * 400


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    root = tmp_path_factory.mktemp("files")
    with serving(**settings(root, max_upload_bytes=5_000_000)) as running:
        running.root = root
        yield running


@pytest.fixture
def client(service):
    """A client that finds no files, and leaves none and nothing half written."""
    for each in service.root.iterdir():
        if each.name != ".uploads":
            real = each.is_dir() and not each.is_symlink()
            shutil.rmtree(each) if real else each.unlink()
    with httpx.Client(base_url=f"{service.url}/files/", timeout=20) as found:
        yield found
    assert left_behind(service.root) == []


def listed(client, path: str = "") -> list[str]:
    return [each["name"] for each in client.get(path).json()["items"]]


def problem(answer) -> int:
    """The status of a problem document."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    return answer.status_code


def test_file_lives_from_put_to_delete(client):
    """Each step answers with the version, and a download is what was uploaded."""
    put = client.put("a/b.bin", content=CONTENT)
    again = client.put("a/b.bin", content=CONTENT[::-1])
    got = client.get("a/b.bin")
    head = client.head("a/b.bin")

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
    assert client.delete("a/b.bin").status_code == 204
    assert problem(client.get("a/b.bin")) == 404
    assert problem(client.delete("a/b.bin")) == 404
    assert problem(client.get("a/")) == 404
    assert listed(client) == []


def test_conditional_requests_meet_the_version_that_was_meant(client):
    """304 for what is known, 412 for what has changed, no file made over another."""
    etag = client.put("f", content=b"1").headers["etag"]
    modified = client.head("f").headers["last-modified"]

    def status(method: str, **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = b"2" if method == "PUT" else None
        return client.request(method, "f", headers=named, content=body).status_code

    assert status("GET", if_none_match=etag) == 304
    assert status("GET", if_none_match=f'"x", W/{etag}') == 304
    assert status("GET", if_modified_since=modified) == 304
    assert status("GET", if_none_match='"x"', if_modified_since=modified) == 200
    assert status("GET", if_match='"x"') == 412
    assert status("GET", if_unmodified_since="Thu, 01 Jan 1970 00:00:00 GMT") == 412
    assert status("GET", if_modified_since="no date") == 200
    assert status("PUT", if_none_match="*") == 412
    assert status("PUT", if_match='"x"') == 412
    assert status("PUT", if_match=f"W/{etag}") == 412
    assert status("DELETE", if_match='"x"') == 412
    assert status("PUT", if_match=etag) == 204
    assert status("PUT", if_match=etag) == 412
    assert client.get("f").content == b"2"
    assert client.put("g", content=b"", headers={"If-Match": "*"}).status_code == 412


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
def test_row_55_name_that_leads_elsewhere_is_refused(service, client, path, status):
    """Reading and writing it: 400, and nothing is made in or out of the root."""
    port = service.ports["httpserver"]
    for method in (b"GET", b"PUT"):
        line = method + b" " + path + b" HTTP/1.1\r\nHost: localhost\r\n"
        with RawConnection(port) as connection:
            connection.send(line + b"Content-Length: 1\r\n\r\nx")
            answer = connection.answer()
        if method == b"PUT" and status == 404:
            assert answer.status in (201, 404, 405)
            (service.root / "nothing").unlink(missing_ok=True)
            (service.root / "etc/passwd").unlink(missing_ok=True)
        else:
            assert answer.status == status
    assert [each for each in service.root.iterdir() if each.is_file()] == []


def test_row_56_links_and_pipes_are_not_there(service, client, tmp_path):
    """A link, a second name and a pipe are no files, and nobody waits for one."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    root = service.root
    (root / "real").mkdir()
    (root / "real/f").write_text("f")
    (root / "link").symlink_to(secret)
    (root / "directory").symlink_to(tmp_path)
    (root / "inside").symlink_to("real")
    os.link(secret, root / "hard")
    os.mkfifo(root / "pipe")

    for path in ("link", "directory/secret", "inside/f", "hard", "pipe", "inside/"):
        assert problem(client.get(path)) == 404, path
        assert client.delete(path).status_code == (400 if path[-1] == "/" else 404)
    for path in ("directory/new", "inside/new"):
        assert problem(client.put(path, content=b"x")) == 409, path
    assert listed(client) == ["real"]
    assert client.put("link", content=b"mine").status_code == 201
    assert client.put("hard", content=b"mine").status_code == 201
    assert secret.read_text() == "secret"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["secret"]


def upload_head(path: str, length: int, *more: str) -> bytes:
    lines = [f"PUT /files/{path} HTTP/1.1", "Host: localhost", *more]
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


def test_row_57_upload_cut_at_99_percent_leaves_nothing(service, client):
    """No file, no directory, nothing half written; the old version stays."""
    client.put("old", content=b"old")
    body = CONTENT * 40
    for path in ("new/f", "old"):
        with socket.create_connection(("127.0.0.1", service.ports["httpserver"])) as s:
            s.sendall(upload_head(path, len(body)))
            s.sendall(body[: len(body) * 99 // 100])
            until(lambda: left_behind(service.root) != [])
        until(lambda: left_behind(service.root) == [])

    assert listed(client) == ["old"]
    assert client.get("old").content == b"old"


@pytest.fixture
def small_disk(tmp_path):
    """A service whose root is a file system of 4 MB."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("namespaces of a user's own are not allowed here")
    wrapper = tmp_path.parent / "on_small_disk.py"
    wrapper.write_text(
        "import os, shlex, sys\n"
        f"command = 'mount -t tmpfs -o size=4m none {tmp_path} && exec '\n"
        "command += shlex.join([sys.executable, '-m', 'service', *sys.argv[1:]])\n"
        "os.execvp('unshare', ['unshare', '-rm', 'sh', '-c', command])\n"
    )
    path = {"PYTHONPATH": os.pathsep.join([str(wrapper.parent), str(Path.cwd())])}
    root = tmp_path / "root"
    with serving(module=wrapper.stem, environment=path, **settings(root)) as running:
        # as the process sees it, whose mount it is
        running.root = Path(f"/proc/{running.process.pid}/root{root}")
        yield running


@pytest.mark.parametrize("announced", [True, False])
def test_row_57_full_disk_is_507_and_leaves_nothing(small_disk, announced):
    """Whether the size was said or not; afterwards there is as much room as before."""
    url = f"{small_disk.url}/files/"
    body = os.urandom(5_000_000)
    httpx.put(url + "kept", content=b"kept")

    def pieces():
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    for _ in range(3):
        answer = httpx.put(url + "f", content=body if announced else pieces())
        assert problem(answer) == 507
    assert left_behind(small_disk.root) == []
    assert httpx.put(url + "g", content=body[:3_000_000]).status_code == 201
    assert httpx.get(url + "g").content == body[:3_000_000]
    assert httpx.get(url + "kept").content == b"kept"


def test_row_58_two_uploads_of_one_name_one_wins_whole(client):
    """The last rename wins; every reader sees one version from end to end."""
    contents = [bytes([n]) * 1_000_000 for n in range(4)]
    seen: list[bytes] = []
    threads = [
        threading.Thread(target=client.put, args=("f",), kwargs={"content": each})
        for each in contents
    ]
    client.put("f", content=contents[0])
    for each in threads:
        each.start()
    while any(each.is_alive() for each in threads):
        seen.append(client.get("f").content)
    seen.append(client.get("f").content)

    assert set(seen) <= set(contents)


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
def test_row_59_range_is_answered_by_its_bytes(client, asked, status, content):
    """206 with what was asked for, 416 for what is not there, 200 for nonsense."""
    client.put("f.bin", content=CONTENT)
    answer = client.get("f.bin", headers={"Range": asked})

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


def test_row_59_several_ranges_come_as_parts(client):
    """Each part tells where it is from, and the length is that of the answer."""
    client.put("f.bin", content=CONTENT)
    asked = {"Range": "bytes=1000-1009,0-4,-3"}
    answer = client.get("f.bin", headers=asked)
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


def test_row_59_if_range_of_another_version_gets_all_of_it(client):
    """A part is of use only to who has the rest of the same version."""
    etag = client.put("f", content=CONTENT).headers["etag"]
    date = client.head("f").headers["last-modified"]

    for named, status in [(etag, 206), (date, 206), ('"x"', 200), (f"W/{etag}", 200)]:
        headers = {"Range": "bytes=0-4", "If-Range": named}
        assert client.get("f", headers=headers).status_code == status, named


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
def test_row_60_any_name_is_told_so_that_it_is_saved(client, name, told):
    """RFC 6266 and 8187: nothing of a name can end the header or its parameter."""
    client.put(name, content=b"x")

    assert client.get(name).headers["content-disposition"] == told


@pytest.mark.parametrize("name", ["x.html", "x.svg", "x.js", "x.xml", "x.XHTML", "x"])
def test_active_content_is_saved_and_never_run(client, name):
    """What a browser would run is an attachment, in a sandbox, and not sniffed."""
    script = b"<script>alert(1)</script>"
    client.put(name, content=script, headers={"content-type": "text/html"})
    answer = client.get(name)

    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_upload_with_another_digest_is_refused(client):
    """400 with a clear problem, and nothing is left; a right one is taken."""
    wrong = {"Repr-Digest": sha256(b"other")}

    assert "sha-256" in client.put("f", content=b"x", headers=wrong).json()["detail"]
    for headers, status in [
        ({"Content-Digest": sha256(b"other")}, 400),
        ({"Repr-Digest": "sha-256=no"}, 400),
        ({"Repr-Digest": "sha-256=:AAAA:"}, 400),
        ({"Repr-Digest": sha256(b"x"), "Content-Digest": sha256(b"y")}, 400),
        ({"Repr-Digest": "md5=:AAAA:"}, 201),
        ({"Repr-Digest": sha256(b"x"), "Content-Digest": sha256(b"x")}, 204),
    ]:
        answer = client.put("f", content=b"x", headers=headers)
        assert answer.status_code == status, headers
    assert listed(client) == ["f"]


def test_directory_is_listed_in_pages(client):
    """Each page leads to the next, and a directory's URL to its files."""
    for path in ("a", "b c/d", "é", "z"):
        client.put(path, content=b"xy")
    names, url = [], "/files/?limit=3"
    while url:
        page = client.get(client.base_url.join(url)).json()
        names += page["items"]
        url = page["next"]

    assert [each["name"] for each in names] == ["a", "b c", "z", "é"]
    assert (names[0]["size"], names[0]["url"]) == (2, "/files/a")
    assert names[1] == {"name": "b c", "type": "directory", "url": "/files/b%20c/"}
    assert client.get("b%20c/").json()["path"] == "b c/"
    moved = client.get("b%20c")
    assert (moved.status_code, moved.headers["location"]) == (308, "/files/b%20c/")
    for wrong in ("0", "x", "000000001" + "9" * 20, "000000001" + "0" * 5000):
        assert problem(client.get(f"?limit={wrong}")) == 400


def test_post_creates_and_never_replaces(client):
    """A file of the name that is given; 409 where there is one."""
    made = client.post("a/", params={"name": "b c.txt"}, content=b"x")

    assert (made.status_code, made.headers["location"]) == (201, "/files/a/b%20c.txt")
    assert problem(client.post("a/", params={"name": "b c.txt"}, content=b"y")) == 409
    assert problem(client.post("a/", content=b"y")) == 400
    assert problem(client.post("a", params={"name": "b"}, content=b"y")) == 400
    assert problem(client.post("a/", params={"name": "../b"}, content=b"y")) == 400
    assert client.get("a/b%20c.txt").content == b"x"


def test_form_with_files_is_taken(client):
    """All its files are there, and their places are told."""
    files = [
        ("f", ("one.txt", CONTENT)),
        ("f", ('zwei "ü".txt', b"2")),
        ("f", ("", b"")),
    ]
    answer = client.post("a/", files=files, data={"other": "field"})

    assert answer.status_code == 201
    assert listed(client, "a/") == ["one.txt", 'zwei "ü".txt']
    assert client.get("a/one.txt").content == CONTENT


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
def test_malformed_form_is_refused(client, body):
    """400, and no file is left of it."""
    kind = {"Content-Type": "multipart/form-data; boundary=x"}

    assert problem(client.post("", content=body, headers=kind)) == 400
    assert listed(client) == []


def test_boundary_that_is_too_long_is_refused(client):
    """400: no parser looks for it."""
    kind = {"Content-Type": f"multipart/form-data; boundary={'x' * 5000}"}

    assert problem(client.post("", content=b"--x--", headers=kind)) == 400


def test_file_above_the_limit_is_413(client):
    """Announced: before its body is asked for. Else: as soon as it is too long."""

    def pieces():
        for _ in range(60):
            yield b"x" * 100_000

    assert problem(client.put("f", content=pieces())) == 413
    assert problem(client.put("f", content=b"x" * 5_000_001)) == 413
    assert client.put("f", content=b"x" * 5_000_000).status_code == 201


def test_bodies_that_are_no_whole_file_are_refused(client):
    """A compressed one: 415. A part of one: 400."""
    gzip, part = {"Content-Encoding": "gzip"}, {"Content-Range": "bytes 0-0/2"}

    assert problem(client.put("f", content=b"x", headers=gzip)) == 415
    assert problem(client.put("f", content=b"x", headers=part)) == 400


def test_file_in_the_way_is_409(client):
    """A file is no directory, and a directory no file."""
    client.put("a/f", content=b"x")

    assert problem(client.put("a", content=b"x")) == 409
    assert problem(client.put("a/f/g", content=b"x")) == 409


def test_page_of_another_site_changes_nothing(client):
    """A browser that is misused is refused; pages of this host are not."""
    other = {"Origin": "https://evil.example"}
    own = {"Origin": str(client.base_url).removesuffix("/files/")}

    for method in ("PUT", "DELETE"):
        assert problem(client.request(method, "f", headers=other)) == 403
    assert problem(client.post("?name=f", headers=other)) == 403
    for broken in ("null", "http://[", "http://[::1"):
        assert problem(client.put("f", headers={"Origin": broken})) == 403
    assert client.put("f", content=b"x", headers=own).status_code == 201


def test_bytes_and_outcomes_are_measured(service, client):
    """What came, went and is there, and what uploads came to."""
    client.put("f", content=b"x" * 1000)
    client.get("f")
    told = httpx.get(f"{service.admin_url}/metrics").text

    for name in (
        'httpserver_files_bytes_total{direction="in"}',
        'httpserver_files_bytes_total{direction="out"}',
        'httpserver_files_uploads_total{outcome="stored"}',
        'httpserver_files_uploads_total{outcome="cut"}',
        "httpserver_files_stored_bytes",
        "httpserver_files_stored_files",
    ):
        assert name in told


def test_slow_reader_does_not_hold_others_up(service, client):
    """A download that nobody takes waits, and memory does not grow by the file."""
    client.put("big", content=CONTENT * 40)
    with socket.create_connection(("127.0.0.1", service.ports["httpserver"])) as slow:
        slow.sendall(get(b"/files/big") * 10)
        for _ in range(20):
            assert client.get("big").status_code == 200


@pytest.mark.parametrize(("writers", "status"), [("nobody", 403), ("users", 401)])
def test_only_who_may_changes_files(tmp_path, writers, status):
    """Without the right to write everything can be read and nothing changed."""
    (tmp_path / "f").write_text("x")
    with serving(**settings(tmp_path, writers=writers)) as service:
        with httpx.Client(base_url=f"{service.url}/files/") as client:
            assert client.get("f").content == b"x"
            for method in ("PUT", "DELETE"):
                assert problem(client.request(method, "f")) == status
            assert problem(client.post("?name=g")) == status
    assert (tmp_path / "f").read_text() == "x"


def test_quota_is_507_and_counts_what_was_there(tmp_path):
    """Files that were there before count; what is deleted makes room."""
    (tmp_path / "before").write_bytes(b"x" * 600)
    with serving(**settings(tmp_path, quota_bytes=1000, quota_files=2)) as service:
        with httpx.Client(base_url=f"{service.url}/files/") as client:
            assert problem(client.put("f", content=b"x" * 401)) == 507
            assert client.put("f", content=b"x" * 400).status_code == 201
            assert problem(client.put("g", content=b"")) == 507
            assert client.delete("before").status_code == 204
            assert client.put("g", content=b"x" * 600).status_code == 201


def test_killed_while_it_writes_nothing_is_visible(tmp_path):
    """kill -9 in the middle: old files are whole, no new one is there, all is swept."""
    with serving(**settings(tmp_path)) as service, contextlib.ExitStack() as stack:
        url = f"{service.url}/files/"
        httpx.put(url + "old", content=CONTENT)
        for path in ("old", "new/f"):
            address = ("127.0.0.1", service.ports["httpserver"])
            cut = stack.enter_context(socket.create_connection(address))
            cut.sendall(upload_head(path, 100_000_000) + CONTENT * 100)
        until(lambda: len(left_behind(tmp_path)) == 2)
        service.signal(signal.SIGKILL)
        service.await_exit()

    assert len(left_behind(tmp_path)) == 2
    with serving(**settings(tmp_path)) as service:
        opened = service.events("files_opened")[0]
        with httpx.Client(base_url=f"{service.url}/files/") as client:
            assert listed(client) == ["old"]
            assert client.get("old").content == CONTENT
        assert (opened["swept"], opened["files"], opened["bytes"]) == (2, 1, SIZE)
        assert left_behind(tmp_path) == []


def test_root_that_is_no_directory_stops_the_start(tmp_path):
    """The process says which setting is wrong and ends with 1."""
    (tmp_path / "file").write_text("")
    command = [
        sys.executable,
        "-m",
        "service",
        "serve",
        "--port",
        "0",
        "--admin-port",
        "0",
    ]
    command += ["--set", "files.enabled=true", "--set", f"files.root={tmp_path}/file"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert "files.root" in done.stderr + done.stdout
