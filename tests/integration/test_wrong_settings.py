"""A start with wrong arguments, files, variables or ports: told in a line, no trace."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.process import serving

LIMIT = 60.0
"""Seconds that a start may take to fail."""

BOMB = "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10 if i else ['x'] * 10)}]\n"
    for i in range(12)
)
"""A file of a kilobyte that stands for 10^12 values."""


def start(*arguments: str, cwd: Path | None = None, **variables: str):
    """Run `serve` until it ends by itself; it must, and without a trace."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HTTPSERVER_")}
    path = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-m", "service", "serve", *arguments],
        env=kept | path | variables,
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert "Traceback" not in done.stderr + done.stdout
    return done


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--nope"], "No such option: --nope"),
        (["nope"], "unexpected extra argument"),
        (["--port", "abc"], "Invalid value for '--port'"),
        (["--port", ""], "Invalid value for '--port'"),
        (["--port", "70000"], "flag:--port: server.ports[0]: must be less than"),
        (["--port", "-1"], "flag:--port: server.ports[0]: must be greater than"),
        (["--config", "none.yaml"], "none.yaml: can't be read: No such file"),
        (["--set", "nope=1"], "flag:--set: nope: no such setting"),
        (
            ["--set", "server.header_timeout=-1"],
            "flag:--set: server.header_timeout: must be greater than or equal to 0",
        ),
        (
            ["--set", "server.drain_delay=20", "--set", "server.hard_limit=30"],
            "server.drain_delay + server.grace_period (server.hard_limit is 30.0,",
        ),
    ],
)
def test_wrong_arguments_exit_2_and_name_the_key(tmp_path, arguments, told):
    """Option and key are told on standard error, and nothing else is written."""
    done = start(*arguments, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert told in re.sub(r"[\s│]+", " ", done.stderr)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("server: [\n", ":2: while parsing"),
        ("server:\n  nope: 1\n", ":2: server.nope: no such setting"),
        ("log:\n  access: maybe\n", ":2: log.access: must be a valid boolean"),
        ("server:\n  backlog: many\n", ":2: server.backlog: must be a valid integer"),
        ("log:\n  level: info\n  level: debug\n", ":3: log.level: stands twice"),
        ("log: !!python/object/apply:os.system [id]\n", ":1: tags are not allowed"),
        (BOMB, ":1: anchors and aliases are not allowed"),
        ("# " + "x" * 10_000_000, ": is larger than 1 MiB"),
        ("a: " + "[" * 5_000, ":1: is nested too deeply"),
    ],
    ids=["yaml", "key", "boolean", "integer", "twice", "tag", "bomb", "10 MB", "deep"],
)
def test_wrong_file_exits_2_and_names_the_line(tmp_path, content, told):
    """File, line and key are told; a file that unpacks to much is not unpacked."""
    (tmp_path / "config.yaml").write_text(content)
    done = start("--config", "config.yaml", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"config.yaml{told}")
    assert len(done.stderr) < 300


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("LOG__ACCESS", "", "log.access: is empty; leave it out to keep the default"),
        ("LOG__ACCESS", "maybe", "log.access: must be a valid boolean"),
        ("SERVER__BACKLOG", "", "server.backlog: is empty"),
        ("LOG__ACESS", "yes", "no such setting; did you mean HTTPSERVER_LOG__ACCESS?"),
    ],
)
def test_wrong_variable_exits_2_and_is_named(name, value, told):
    """An empty text is no value, and a slip of the pen is no other setting."""
    done = start(**{f"HTTPSERVER_{name}": value})

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"env:HTTPSERVER_{name}: {told}")


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("admin", [False, True])
def test_port_in_use_exits_1_and_names_the_address(workers, admin):
    """The port that another program has is told, whichever of ours wanted it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ports = {"--port": "0", "--admin-port": "0"}
        ports["--admin-port" if admin else "--port"] = port
        addresses = ["--host", "127.0.0.1", "--set", "server.admin.host=127.0.0.1"]
        done = start(
            *addresses,
            *(each for pair in ports.items() for each in pair),
            *["--workers", workers, "--log-format", "json"],
        )

    assert done.returncode == 1
    assert f"can't listen on 127.0.0.1:{port}: Address already in use" in done.stdout


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "can't be read: "),
        (b"short", "login.token_key: must have at least 32 characters"),
        (b"\xff" * 40, "login.token_key: is not UTF-8"),
        (b"", "login.token_key: must have at least 32 characters"),
    ],
    ids=["unreadable", "short", "bytes", "empty"],
)
def test_wrong_secret_exits_2_and_is_not_shown(tmp_path, content, told):
    """The file and the reason are told, the secret is not."""
    secret = tmp_path / "login__token_key"
    if content is None:
        secret.symlink_to(tmp_path / "nowhere" / "at-all")  # root reads any mode
    else:
        secret.write_bytes(content)
    done = start("--secrets-dir", str(tmp_path))

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("secrets:login__token_key: ")
    assert told in done.stderr
    assert "short" not in done.stderr


@pytest.mark.parametrize(("mode", "warned"), [(0o644, True), (0o440, False)])
def test_secret_that_everyone_reads_is_warned_of(tmp_path, mode, warned):
    """It is taken, without its line's end, and its exposure is told by name."""
    secret = tmp_path / "login__token_key"
    secret.write_text("k" * 32 + "\n")
    secret.chmod(mode)
    with serving("--secrets-dir", str(tmp_path)) as service:
        told = service.events("secret_exposed")

    assert [each["setting"] for each in told] == ["login__token_key"] * warned
    assert "kkkk" not in str(service.log)
