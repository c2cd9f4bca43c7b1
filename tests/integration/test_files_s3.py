"""Files in a real object store through the real process: what a client sees of it."""

import base64
import hashlib
import os

import httpx2 as httpx
import pytest

from tests.support.files import left_behind
from tests.support.process import serving
from tests.support.raw_http import RawConnection
from tests.support.resumable import ResumableUpload
from tests.support.s3 import SECRET, S3Server, s3_server
from tests.support.scrape import resident_bytes
from tests.support.waiting import until

BIG = os.urandom(12_000_000)


def settings(server: S3Server, root, **others: object) -> dict[str, object]:
    said = server.settings()
    named = {
        "enabled": True,
        "root": root,
        "store": "s3",
        "s3__endpoint": server.url,
        "s3__bucket": said.bucket,
        "s3__prefix": "team/",
        "s3__time_limit": 30.0,
        **others,
    }
    return {f"files__{name}": value for name, value in named.items()}


KEYS = {
    "HTTPSERVER_FILES__S3__ACCESS_KEY_ID": "AKIATESTS",
    "HTTPSERVER_FILES__S3__SECRET_ACCESS_KEY": SECRET,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture(scope="module")
def service(server, tmp_path_factory):
    root = tmp_path_factory.mktemp("uploads")
    with serving(environment=KEYS, **settings(server, root)) as running:
        running.root = root
        yield running


@pytest.fixture
def client(service, server):
    """A client; it leaves no file and no part in the store."""
    with httpx.Client(base_url=f"{service.url}/files/", timeout=60) as found:
        yield found
        clear(found)
    assert until(lambda: server.parts_left() == [])


def clear(client, path: str = "") -> None:
    """Delete all in a directory."""
    for each in client.get(path).json()["items"]:
        name = path + each["name"]
        if each["type"] == "directory":
            clear(client, f"{name}/")
        else:
            assert client.delete(name).is_success


def digest(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def names(client, path: str = "") -> list[str]:
    return [each["name"] for each in client.get(path).json()["items"]]


@pytest.mark.parametrize("content", [b"small" * 100, BIG], ids=["small", "in_parts"])
def test_file_lives_from_put_to_delete(client, server, content):
    """The answers are those of a disk, and the object is a plain one."""
    put = client.put("a/b.bin", content=content)
    etag = put.headers["etag"]
    got = client.get("a/b.bin")
    part = client.get("a/b.bin", headers={"range": "bytes=100-299"})
    several = client.get("a/b.bin", headers={"range": "bytes=0-1,-2"})
    known = client.get("a/b.bin", headers={"if-none-match": etag})

    assert (put.status_code, put.headers["location"]) == (201, "/files/a/b.bin")
    assert put.headers["repr-digest"] == digest(content)
    assert (got.content, got.headers["etag"]) == (content, etag)
    assert (part.status_code, part.content) == (206, content[100:300])
    assert several.status_code == 206
    assert content[-2:] in several.content
    assert known.status_code == 304
    assert (server.root / "team/a/b.bin").read_bytes() == content
    assert names(client) == ["a"]
    assert names(client, "a/") == ["b.bin"]
    assert client.put("a/b.bin", content=b"2").status_code == 204
    assert client.delete("a/b.bin", headers={"if-match": etag}).status_code == 412
    assert client.delete("a/b.bin").status_code == 204
    assert client.get("a/b.bin").status_code == 404
    assert client.get("a/").status_code == 404


def test_conditions_and_digests_are_held(client):
    """412 and 400 as on a disk, and nothing is changed."""
    made = client.put("f", content=b"1", headers={"if-none-match": "*"})
    tag = made.headers["etag"]
    wrong = {"repr-digest": digest(b"other")}

    assert made.status_code == 201
    assert client.put("f", content=b"2", headers={"if-none-match": "*"}).is_error
    assert client.put("f", content=BIG, headers={"if-match": '"x"'}).status_code == 412
    assert client.put("f", content=BIG, headers=wrong).status_code == 400
    assert client.put("f", content=b"2", headers={"if-match": tag}).status_code == 204
    assert client.put("f/below", content=b"x").status_code == 409
    assert client.post("", params={"name": "f"}, content=b"x").status_code == 409
    assert client.get("f").content == b"2"


def test_upload_that_is_cut_leaves_nothing(client, service, server):
    """Neither a file nor a part in the store."""
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(
            b"PUT /files/cut HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
            % len(BIG)
        )
        connection.send(BIG[:-1_000_000])
        until(server.parts_left)
    until(lambda: not server.parts_left())

    assert client.get("cut").status_code == 404


def test_resumed_upload_becomes_an_object(client, service, server):
    """It waits on the disk of the service, and its digest is kept with it."""
    upload = ResumableUpload(service.url, BIG)
    upload.begin_and_cut("resumed.bin", size=7_000_000, root=service.root)
    offset = until(lambda: upload.state()[0])
    waiting = left_behind(service.root)
    answer = upload.append(offset)
    got = client.get("resumed.bin")

    assert any(each.endswith(".part") for each in waiting)
    assert not any(each.endswith(".part") for each in left_behind(service.root))
    assert answer.status_code == 201
    assert got.content == BIG
    assert got.headers["repr-digest"] == digest(BIG)


def test_directory_is_listed_in_pages(client, service):
    """Each page tells where the next one is, files and directories in order."""
    for path in ("d/a/x", "d/a-1", "d/a.txt", "d/b"):
        client.put(path, content=b"x")
    found, url = [], "/files/d/?limit=1"
    while url:
        page = httpx.get(service.url + url).json()
        found += [(each["name"], each["type"]) for each in page["items"]]
        url = page["next"]

    assert found == [
        ("a", "directory"),
        ("a-1", "file"),
        ("a.txt", "file"),
        ("b", "file"),
    ]


def test_store_that_is_away_is_a_503_until_it_is_back(tmp_path):
    """Unready meanwhile, alive, and no restart is needed; no log tells the secret."""
    with s3_server(tmp_path) as server:
        options = settings(server, tmp_path / "root", s3__time_limit=1.0)
        with serving(environment=KEYS, **options) as service:
            url = f"{service.url}/files/f"
            httpx.put(url, content=b"1").raise_for_status()
            server.kill()
            away = [
                httpx.get(url),
                httpx.put(url, content=b"2"),
                httpx.put(url, content=BIG),
                httpx.delete(url),
                httpx.get(f"{service.url}/files/"),
            ]
            until(lambda: httpx.get(f"{service.admin_url}/readyz").status_code == 503)
            alive = httpx.get(f"{service.admin_url}/livez").status_code
            server.start()
            until(lambda: httpx.get(f"{service.admin_url}/readyz").status_code == 200)
            back = httpx.get(url)

    assert [each.status_code for each in away] == [503] * 5
    assert all(int(each.headers["retry-after"]) >= 1 for each in away)
    assert all(
        each.headers["content-type"] == "application/problem+json" for each in away
    )
    assert alive == 200
    assert back.content == b"1"
    assert SECRET not in "".join(service.written)
    assert any("files_unreachable" in line for line in service.written)


def test_store_that_is_away_at_the_start_makes_it_unready(tmp_path):
    """The process comes up, says what is wrong, and is ready when the store is."""
    with s3_server(tmp_path) as server:
        server.kill()
        options = settings(server, tmp_path / "root", s3__time_limit=1.0)
        with serving(environment=KEYS, **options) as service:
            first = httpx.get(f"{service.admin_url}/readyz?verbose")
            service.await_event("bucket_unreachable")
            server.start()
            until(lambda: httpx.get(f"{service.admin_url}/readyz").status_code == 200)

    assert first.status_code == 503
    assert "files" in first.text


def test_large_files_take_no_memory(client, service):
    """Up and down in parts: what the process holds does not grow with the file."""
    size = 100_000_000

    def body():
        for _ in range(size // 1_000_000):
            yield BIG[:1_000_000]

    client.put("warm", content=BIG).raise_for_status()
    before = resident_bytes(service)
    client.put("large", content=body()).raise_for_status()
    up = resident_bytes(service)
    with client.stream("GET", "large") as answer:
        came = sum(len(chunk) for chunk in answer.iter_bytes())

    assert came == size
    assert max(up, resident_bytes(service)) - before < 50_000_000


def test_wrong_settings_are_told_at_the_start(tmp_path):
    """Authorities that can't be read are named, not found out by the first request."""
    with (
        pytest.raises(AssertionError) as ended,
        serving(
            files__enabled=True,
            files__root=tmp_path / "root",
            files__store="s3",
            files__s3__ca_file=tmp_path / "missing.pem",
        ),
    ):
        pass

    assert "missing.pem" in str(ended.value)
