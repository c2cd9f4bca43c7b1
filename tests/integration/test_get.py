"""`httpserver get` as a process: what it shows and saves, on a terminal and off it."""

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys

import httpx2
import pytest
from typer.testing import CliRunner

from service.cli import app
from tests.support.certificates import Authority
from tests.support.pushgateway import pushgateway
from tests.support.rogue import in_a_thread
from tests.support.terminal import on_terminal
from tests.support.waiting import until

LIMIT = 60.0
"""Seconds that a command may take before the test fails."""

PIECE = b"0123456789abcdef" * 4096
PIECES = 64
WHOLE = PIECE * PIECES
TEXTS = {
    "/text": ("text/plain", b"two\r\nlines \x1b[31m\n"),
    "/latin": ("text/plain; charset=latin-1", b"caf\xe9"),
    "/json": ("application/json", b'{"b":[1,2],"a":"\xc3\xa9"}'),
    "/binary": ("application/octet-stream", b"\x00\x01\xff"),
    "/odd": ("text/plain", b"caf\xe9"),
    "/404": ("text/plain", b"nobody\n"),
}


async def answer(peer) -> None:
    path = peer.path
    if path == "/hang":
        await peer.gone()
        raise EOFError
    if path == "/echo":
        await echo(peer)
    elif path == "/once":
        await peer.send(b"HTTP/1.1 302 Found\r\nlocation: /text\r\n")
        await peer.send(b"content-length: 0\r\n\r\n")
    elif path == "/slowly":
        head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(WHOLE)
        await peer.send(head)
        for _ in range(PIECES):
            await peer.send(PIECE)
            await asyncio.sleep(0.01)
    elif path == "/large":
        await send_range(peer)
    elif path == "/cut":
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\npart")
        raise EOFError
    else:
        kind, body = TEXTS[path]
        status = b"404 Not Found" if path == "/404" else b"200 OK"
        head = f"content-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        await peer.send(b"HTTP/1.1 " + status + b"\r\n" + head + body)


async def echo(peer) -> None:
    """Answer with the head and body of the request, as JSON."""
    length = re.search(rb"(?i)content-length: (\d+)", peer.head)
    body = await peer.reader.readexactly(int(length[1])) if length else b""
    told = json.dumps({"head": peer.head.decode(), "body": body.decode()}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(told)}\r\n\r\n".encode()
    await peer.send(head + (b"" if peer.head.startswith(b"HEAD") else told))


async def send_range(peer) -> None:
    """Answer with all, or the part that is asked for."""
    wanted = re.search(rb"(?i)range: bytes=(\d+)-", peer.head)
    first = int(wanted[1]) if wanted else 0
    size = len(WHOLE)
    if first >= size:
        head = f"416 No\r\ncontent-range: bytes */{size}\r\ncontent-length: 0"
    elif wanted:
        head = f"206 Partial\r\ncontent-range: bytes {first}-{size - 1}/{size}\r\n"
        head += f"content-length: {size - first}"
    else:
        head = f"200 OK\r\ncontent-length: {size}"
    await peer.send(f"HTTP/1.1 {head}\r\n\r\n".encode() + WHOLE[first:])


@pytest.fixture(scope="module")
def server():
    with in_a_thread(answer) as rogue:
        yield rogue


def get(*arguments: str, stdin: bytes = b"", **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "service", "get", *arguments],
        check=False,
        input=stdin,
        timeout=LIMIT,
        **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options),
    )


@pytest.mark.parametrize("path", ["/text", "/latin", "/json", "/binary", "/odd"])
def test_pipe_gets_the_bytes_as_they_came(server, path):
    """Nothing is laid out, translated or left out."""
    done = get(f"{server.url}{path}")

    assert (done.returncode, done.stdout, done.stderr) == (0, TEXTS[path][1], b"")


def test_terminal_gets_json_laid_out(server):
    """Members stay in their order."""
    with on_terminal("get", f"{server.url}/json") as terminal:
        code = terminal.await_exit()

    assert code == 0
    assert json.loads(terminal.shown) == {"b": [1, 2], "a": "é"}
    assert '"b": [\r\n    1,' in terminal.shown


def test_terminal_gets_text_and_nothing_that_it_would_obey(server):
    """Colours of a stranger stay out, in the headers too; charsets are honoured."""
    with on_terminal("get", "-i", f"{server.url}/text") as terminal:
        assert terminal.await_exit() == 0
    with on_terminal("get", f"{server.url}/latin") as other:
        assert other.await_exit() == 0

    assert terminal.shown.startswith("HTTP/1.1 200 OK\r\ncontent-type: text/plain")
    assert "two\r\nlines ?[31m\r\n" in terminal.shown
    assert "\x1b" not in terminal.shown
    assert other.shown == "café\r\n"


@pytest.mark.parametrize("path", ["/binary", "/odd"])
def test_terminal_gets_no_binary(server, path):
    """It is told what to do instead."""
    with on_terminal("get", f"{server.url}{path}") as terminal:
        code = terminal.await_exit()
    told = "the answer is no text: save it with -o FILE, or pipe it"

    assert code == 2
    assert terminal.shown.splitlines()[-1] == told


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        pytest.param(["{url}/404"], 1, "", id="404"),
        pytest.param(["{url}/once"], 0, "", id="redirect"),
        pytest.param(["{url}/cut"], 4, "without sending complete", id="cut"),
        pytest.param(["http://127.0.0.1:1/"], 4, "connection refused", id="refused"),
        pytest.param(
            ["http://localhost:1/"], 4, "connection refused", id="refused by two"
        ),
        pytest.param(
            ["{url}/hang", "--time-out", "1"], 4, "no answer|silent", id="time-out"
        ),
        pytest.param(["http://nobody.invalid/"], 4, "leads nowhere", id="no name"),
        pytest.param(["ftp://x/"], 2, "must begin with", id="scheme"),
        pytest.param(["service://x/"], 2, "no discovery", id="discovery"),
        pytest.param(["http://a:b@x/"], 2, "credentials", id="credentials"),
        pytest.param(["{url}/", "-H", "bad"], 2, "no header", id="header"),
        pytest.param(["{url}/", "-H", "a\nb: c"], 2, "header name", id="evil header"),
        pytest.param(
            ["{url}/", "-H", "a\nb: c", "--repeat", "2"], 2, "header", id="evil many"
        ),
        pytest.param(["{url}/", "--resolve", "x:y:z"], 2, "HOST:PORT", id="resolve"),
        pytest.param(["{url}/", "--continue"], 2, "needs --output", id="continue"),
        pytest.param(["{url}/", "-d", "a", "--json", "1"], 2, "both", id="bodies"),
        pytest.param(["{url}/", "-d", "@/nowhere"], 2, "/nowhere", id="no file"),
        pytest.param(
            ["{url}/", "-H", "content-length: 5"], 2, "Content-Length", id="length"
        ),
        pytest.param(["{url}/text", "-o", "/dev/null"], 0, "", id="device"),
        pytest.param(["{url}/", "-X", "\udcff"], 2, "ASCII", id="method"),
        pytest.param(
            ["{url}/text", "--continue", "-o", "x" * 300], 2, "too long", id="long name"
        ),
        pytest.param(["{url}/", "--ca", "/nowhere"], 2, "--ca", id="no authorities"),
        pytest.param(
            ["{url}/text", "-o", "/nowhere/x"], 2, "can't write", id="no folder"
        ),
    ],
)
def test_exit_code_tells_what_came_of_it(server, arguments, code, told):
    """And standard error why, without a trace."""
    given = [each.format(url=server.url) for each in arguments]
    done = CliRunner().invoke(app, ["get", *given])

    assert done.exit_code == code
    assert re.search(told, " ".join(done.stderr.replace("│", "").split()))
    # what is not caught would be one
    assert isinstance(done.exception, SystemExit | None)


def asked(*arguments: str, **options) -> dict[str, str]:
    """Return what the server was asked, by its echo."""
    done = get(*arguments, **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_request_is_what_the_options_say(server):
    """Method, headers, host."""
    head = asked(f"{server.url}/echo", "-X", "delete", "-H", "X-A: b: c")["head"]
    named = asked(f"{server.url}/echo", "--host", "shop.example")["head"].lower()

    assert head.startswith("DELETE /echo HTTP/1.1\r\n")
    assert "X-A: b: c\r\n" in head
    assert "\r\nhost: shop.example\r\n" in named
    assert named.count("host:") == 1


def test_data_comes_from_the_line_a_file_or_standard_input(server, tmp_path):
    """A form, or JSON, or what a header says."""
    file = tmp_path / "body"
    file.write_bytes(b"in a file\n")
    url = f"{server.url}/echo"
    form = asked(url, "-d", "a=1")
    from_file = asked(url, "-d", f"@{file}", "-H", "content-type: text/plain")
    as_json = asked(url, "--json", "-", stdin=b'{"a": 1}')

    assert form["head"].startswith("POST ")
    assert (form["body"], from_file["body"]) == ("a=1", "in a file\n")
    assert "content-type: application/x-www-form-urlencoded" in form["head"]
    assert "content-type: text/plain" in from_file["head"]
    assert as_json["body"] == '{"a": 1}'
    assert "content-type: application/json" in as_json["head"]


def test_head_and_redirects_are_shown_and_followed(server):
    """`-X HEAD` ends without a body, `--follow` at the last answer."""
    head = get(f"{server.url}/echo", "-X", "HEAD", "-i")
    followed = get(f"{server.url}/once", "--follow")

    assert head.stdout.startswith(b"HTTP/1.1 200 OK\n")
    assert head.stdout.endswith(b"\n\n")
    assert followed.stdout == TEXTS["/text"][1]


def test_timing_tells_each_step(server):
    """On standard error, so that the body stays what it is."""
    done = get(f"{server.url}/text", "--timing")
    lines = dict(
        re.split(r"\s{2,}", line, maxsplit=1)
        for line in done.stderr.decode().splitlines()
    )

    assert done.stdout == TEXTS["/text"][1]
    assert list(lines) == ["DNS", "connect", "TLS", "first byte", "body", "total"]
    assert lines["TLS"] == "-"
    assert re.fullmatch(r"[\d.]+ m?s", lines["first byte"])


def test_many_calls_are_summed_up(server):
    """How many, how fast, what came."""
    done = get(f"{server.url}/text", "--repeat", "50", "--concurrency", "5")
    text = done.stdout.decode()
    mixed = get(f"{server.url}/hang", "--repeat", "2", "--time-out", "1")

    assert done.returncode == 0
    assert re.match(r"50 calls, 5 at a time, in .* a second\n", text)
    assert re.search(r"min .* p50 .* p90 .* p99 .* max ", text)
    assert "status    200: 50\n" in text
    assert mixed.returncode == 4
    assert re.search(rb"errors +\w*timeout: [12]", mixed.stdout)


def test_many_calls_of_a_terminal_end_with_ctrl_c_and_a_summary(server):
    """What was seen until then is shown."""
    arguments = [f"{server.url}/text", "--repeat", "1000000", "--time-out", "60"]
    with on_terminal("get", *arguments) as terminal:
        before = server.requests
        until(lambda: server.requests >= before + 10)
        terminal.type(b"\x03")
        code = terminal.await_exit()

    assert code == 128 + signal.SIGINT
    assert re.search(r"\d+ calls, 1 at a time", terminal.shown)
    assert "Traceback" not in terminal.shown


def test_ctrl_c_ends_a_call_without_a_trace(server):
    """With 130, at once."""
    with on_terminal("get", f"{server.url}/hang") as terminal:
        before = server.requests
        until(lambda: server.requests > before)
        terminal.type(b"\x03")
        code = terminal.await_exit()

    assert code == 128 + signal.SIGINT
    assert "Traceback" not in terminal.shown


def test_retry_finds_a_server_that_comes_late():
    """The first attempt met nobody."""
    attempts = []

    async def unwilling(peer):
        attempts.append(peer.path)
        if len(attempts) < 3:
            raise EOFError
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate")

    with in_a_thread(unwilling) as rogue:
        without = get(rogue.url)
        with_retries = get(rogue.url, "--retries", "3")

    assert without.returncode == 4
    assert (with_retries.returncode, with_retries.stdout) == (0, b"late")


def test_download_goes_into_the_file_and_shows_its_progress(server, tmp_path):
    """A bar on the terminal; nothing of it in a pipe."""
    file = tmp_path / "file"
    with on_terminal("get", f"{server.url}/slowly", "-o", str(file)) as terminal:
        code = terminal.await_exit()
    quiet = get(f"{server.url}/large", "-o", str(tmp_path / "other"))

    assert code == 0
    assert file.read_bytes() == WHOLE
    assert "━" in terminal.shown
    assert "4.2/4.2 MB" in terminal.shown
    assert (quiet.stdout, quiet.stderr) == (b"", b"")


def test_download_that_broke_is_continued(server, tmp_path):
    """Only the rest is asked for; what is whole stays as it is."""
    file = tmp_path / "file"
    file.write_bytes(WHOLE[:1000])
    options = ["-o", str(file), "--continue"]
    first = get(f"{server.url}/large", *options)
    content = file.read_bytes()
    again = get(f"{server.url}/large", *options)

    assert first.returncode == 0
    assert content == WHOLE
    assert again.returncode == 0
    assert b"whole already" in again.stderr
    assert file.read_bytes() == WHOLE


def test_server_that_knows_no_ranges_sends_the_whole_file_again(server, tmp_path):
    """It takes the place of what was there."""
    file = tmp_path / "file"
    file.write_bytes(b"x" * 10)
    done = get(f"{server.url}/text", "-o", str(file), "--continue")

    assert done.returncode == 0
    assert file.read_bytes() == TEXTS["/text"][1]


def test_part_that_was_asked_for_by_hand_is_the_file(server, tmp_path):
    """Nothing of what was there before is mixed with it."""
    file = tmp_path / "file"
    file.write_bytes(b"old" * 100)
    done = get(f"{server.url}/large", "-o", str(file), "-H", "Range: bytes=100-")

    assert done.returncode == 0, done.stderr
    assert file.read_bytes() == WHOLE[100:]


def test_answer_of_failure_does_not_become_the_file(server, tmp_path):
    """It is shown instead, and the file stays."""
    file = tmp_path / "file"
    file.write_bytes(b"old")
    done = get(f"{server.url}/404", "-o", str(file))

    assert (done.returncode, done.stdout) == (1, TEXTS["/404"][1])
    assert file.read_bytes() == b"old"


def test_reader_that_is_gone_is_no_error_to_tell(server):
    """`| head` makes no trace."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as gone:
        done = get(f"{server.url}/slowly", stdout=gone)

    assert done.stderr == b""


def test_name_and_address_of_an_ingress_may_differ(tmp_path):
    """`--resolve` leads there, and TLS asks for the name."""
    authority = Authority()
    ca = tmp_path / "ca.pem"
    ca.write_text(authority.pem)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*authority.issue("shop.example").write(tmp_path))
    with in_a_thread(answer, tls=tls) as rogue:
        port = rogue.port
        way = ["--resolve", f"shop.example:{port}:127.0.0.1"]
        resolved = get(f"https://shop.example:{port}/text", *way, "--ca", str(ca))
        hosted = get(
            f"https://127.0.0.1:{port}/text", "--host", "shop.example", "--ca", str(ca)
        )
        wrong = get(f"https://127.0.0.1:{port}/text", "--ca", str(ca))
        unknown = get(f"https://shop.example:{port}/text", *way)

    assert resolved.stdout == hosted.stdout == TEXTS["/text"][1]
    assert (wrong.returncode, unknown.returncode) == (4, 4)
    assert b"certificate" in wrong.stderr
    assert b"certificate" in unknown.stderr


def test_run_is_pushed(server):
    """How long it took and whether it succeeded, as of each command that ends."""
    with pushgateway() as url:
        assert get(f"{server.url}/text", "--pushgateway", url).returncode == 0
        good = httpx2.get(f"{url}/metrics").text
        assert get(f"{server.url}/404", "--pushgateway", url).returncode == 1
        bad = httpx2.get(f"{url}/metrics").text

    label = 'httpserver_batch_success{command="get",instance="",job="httpserver-batch"}'
    assert f"{label} 1" in good
    assert f"{label} 0" in bad


def test_port_that_nobody_listens_on_is_told_in_one_line():
    """The address and the reason, nothing else."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        done = get(f"127.0.0.1:{sock.getsockname()[1]}")

    assert done.stderr.count(b"\n") == 1
