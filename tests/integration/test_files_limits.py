"""Services of files with full disks, quotas, few rights and sudden ends."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2 as httpx
import pytest
from argon2 import PasswordHasher

from tests.support.files import (
    CONTENT,
    left_behind,
    listed,
    problem,
    serving_files,
    settings,
    upload_head,
)
from tests.support.process import serving
from tests.support.waiting import until


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
    until(lambda: left_behind(small_disk.root) == [])
    assert httpx.put(url + "g", content=body[:3_000_000]).status_code == 201
    assert httpx.get(url + "g").content == body[:3_000_000]
    assert httpx.get(url + "kept").content == b"kept"


@pytest.mark.parametrize(("writers", "status"), [("nobody", 403), ("users", 401)])
def test_only_who_may_changes_files(tmp_path, writers, status):
    """Without the right to write everything can be read and nothing changed."""
    (tmp_path / "f").write_text("x")
    with serving_files(tmp_path, writers=writers) as service:
        with httpx.Client(base_url=f"{service.url}/files/") as client:
            assert client.get("f").content == b"x"
            for method in ("PUT", "DELETE"):
                assert problem(client.request(method, "f")) == status
            assert problem(client.post("?name=g")) == status
    assert (tmp_path / "f").read_text() == "x"


def test_upload_under_way_is_its_users_alone(tmp_path):
    """Whoever else knows its URL is told what a stranger is: there is none."""
    password = PasswordHasher(1, 8, 1).hash("secret")
    users = json.dumps({"ann": password, "joe": password})
    environment = {"HTTPSERVER_LOGIN__USERS": users}
    named = settings(tmp_path, writers="users")
    with serving(environment=environment, **named) as service:

        def client(name):
            said = {"username": name, "password": "secret"}
            login = httpx.post(f"{service.url}/user/login", json=said, timeout=60)
            token = login.json()["access_token"]
            headers = {"authorization": f"Bearer {token}"}
            return httpx.Client(base_url=service.url, headers=headers, timeout=60)

        with client("ann") as ann, client("joe") as joe:
            begun = ann.put(
                "/files/f", content=b"half", headers={"upload-complete": "?0"}
            )
            url = begun.headers["location"]
            asked = [joe.head(url), joe.delete(url), ann.head(url), ann.delete(url)]

    assert [each.status_code for each in asked] == [404, 404, 204, 204]


def test_quota_is_507_and_counts_what_was_there(tmp_path):
    """Files that were there before count; what is deleted makes room."""
    (tmp_path / "before").write_bytes(b"x" * 600)
    with serving_files(tmp_path, quota_bytes=1000, quota_files=2) as service:
        with httpx.Client(base_url=f"{service.url}/files/") as client:
            assert problem(client.put("f", content=b"x" * 401)) == 507
            assert client.put("f", content=b"x" * 400).status_code == 201
            assert problem(client.put("g", content=b"")) == 507
            assert client.delete("before").status_code == 204
            assert client.put("g", content=b"x" * 600).status_code == 201


def test_killed_while_it_writes_nothing_is_visible(tmp_path):
    """kill -9 in the middle: old files are whole, no new one is there, all is swept."""
    with serving_files(tmp_path) as service, contextlib.ExitStack() as stack:
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
    with serving_files(tmp_path) as service:
        opened = service.events("files_opened")[0]
        with httpx.Client(base_url=f"{service.url}/files/") as client:
            assert listed(client) == ["old"]
            assert client.get("old").content == CONTENT
        assert (opened["swept"], opened["files"], opened["bytes"]) == (
            2,
            1,
            len(CONTENT),
        )
        assert left_behind(tmp_path) == []


def test_root_that_is_no_directory_stops_the_start(tmp_path):
    """The process says which setting is wrong and ends with 1."""
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "service", "serve", "--port", "0"]
    command += ["--admin-port", "0", "--set", "files.enabled=true"]
    command += ["--set", f"files.root={tmp_path}/file"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert "files.root" in done.stderr + done.stdout
