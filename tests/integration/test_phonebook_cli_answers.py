"""`httpserver phonebook` and what a service, or whoever answers, does to it."""

import json
import os
import signal
import ssl
import subprocess
import sys

import pytest
from typer.testing import CliRunner, Result

from service.cli import app
from tests.support.certificates import Authority
from tests.support.rogue import in_a_thread
from tests.support.terminal import on_terminal
from tests.support.waiting import until

CONTACT = {"id": "x", "first_name": "A\x1b[31m", "last_name": "B", "number": "+1"}


def run(*arguments: str, **environment: str) -> Result:
    command = ["phonebook", *arguments]
    return CliRunner().invoke(app, command, env={"HTTPSERVER_TOKEN": "", **environment})


def answer(status: str, body: object, *, kind: str = "json", head: str = "") -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    first = f"HTTP/1.1 {status}\r\ncontent-type: application/{kind}\r\n{head}"
    return f"{first}content-length: {len(content)}\r\n\r\n".encode() + content


PAGE = answer("200 OK", {"items": [CONTACT], "next": None})


def always(data: bytes, heads: list[bytes] | None = None):
    """Returns what gives each request the same answer."""

    async def behave(peer) -> None:
        if heads is not None:
            heads.append(peer.head)
        await peer.send(data)

    return behave


def test_credentials_are_sent_and_never_shown(tmp_path):
    """From the environment or a file; a header of one's own wins."""
    token, headers, heads = tmp_path / "token", tmp_path / "headers", []
    token.write_text("of-a-file\n")
    headers.write_text("Authorization: Basic eA==\nX-Other: 1\n")
    with in_a_thread(always(PAGE, heads)) as rogue:
        url = ["list", "--url", rogue.url]
        run(*url, HTTPSERVER_TOKEN="of-the-environment")
        run(*url, "--token-file", str(token), HTTPSERVER_TOKEN="of-the-environment")
        run(*url, "-H", f"@{headers}", HTTPSERVER_TOKEN="of-the-environment")
        done = run(*url, TRACEPARENT="00-a-b-01")

    told = [head.decode().lower() for head in heads]
    assert "authorization: bearer of-the-environment\r\n" in told[0]
    assert "authorization: bearer of-a-file\r\n" in told[1]
    assert "authorization: basic eA==\r\n".lower() in told[2]
    assert "x-other: 1" in told[2]
    assert "bearer" not in told[2]
    assert "authorization" not in told[3]
    assert "traceparent: 00-a-b-01" in told[3]
    assert done.exit_code == 0


@pytest.mark.parametrize(
    ("data", "told"),
    [
        pytest.param(
            answer("401 No", {"title": "Unauthorized"}, kind="problem+json"),
            ["401: Unauthorized", "HTTPSERVER_TOKEN"],
            id="401",
        ),
        pytest.param(answer("403 No", {}), ["403", "don't allow it"], id="403"),
        pytest.param(answer("404 No", b"?"), ["404", "main port"], id="404"),
        pytest.param(
            answer("302 Go", b"", head="location: /login\r\n"),
            ["302", "it leads to /login"],
            id="redirect",
        ),
        pytest.param(
            answer(
                "500 No", {"detail": "a\x1bb", "instance": "urn:request:7"},
                kind="problem+json",
            ),
            ["500: a?b (urn:request:7)"],
            id="500",
        ),
        pytest.param(
            answer("422 No", {"errors": [1, {"loc": 2}]}, kind="problem+json"),
            ["422"],
            id="strange-problem",
        ),
        pytest.param(answer("422 No", b"[", kind="problem+json"), ["422"], id="broken"),
        pytest.param(answer("200 OK", b"<html>"), ["is another service"], id="html"),
        pytest.param(answer("200 OK", [1]), ["is another service"], id="list"),
        pytest.param(answer("200 OK", {}), ["is no phone book"], id="no-items"),
    ],
)  # fmt: skip
def test_answer_of_failure_is_told_in_words(data, told):
    """With what helps, exit code 1, and no control character of a stranger."""
    with in_a_thread(always(data)) as rogue:
        done = run("list", "--url", rogue.url, "--retries", "0")

    assert (done.exit_code, done.stdout) == (1, "")
    assert all(each in done.stderr for each in told)
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize(
    "data",
    [
        answer("200 OK", b"<html>"),
        answer("200 OK", [1]),
        answer("200 OK", {"items": [1], "next": None}),
        answer("200 OK", {"items": [{"number": "+1"}], "next": None}),
        answer("200 OK", {"items": {}, "next": None}),
    ],
    ids=["html", "list", "no contact", "no id", "no items"],
)
@pytest.mark.parametrize(
    "command",
    [
        ["search", "A"],
        ["update", "+1", "--note", "x"],
        ["update", "11111111-1111-1111-1111-111111111111", "--note", "x"],
        ["delete", "+1"],
    ],
    ids=["search", "update", "update by id", "delete"],
)
def test_answer_of_another_service_is_told_by_every_command(data, command):
    """As where a proxy answers with a page of its own."""
    with in_a_thread(always(data)) as rogue:
        done = run(*command, "--url", rogue.url, "--retries", "0")
        added = run("insert", "A", "B", "+1", "--url", rogue.url, "--retries", "0")

    assert (done.exit_code, done.stdout) == (1, "")
    assert "is --url right?" in done.stderr
    if b"{" not in data:
        assert added.exit_code == 1
        assert "is another service" in added.stderr


@pytest.mark.parametrize("command", [["search", "\udcff"], ["delete", "\udcff"]])
def test_argument_that_is_no_text_is_wrong_usage(command):
    """It can't be asked for; nothing is sent."""
    done = run(*command, "--url", "127.0.0.1:1", "--retries", "0")

    assert done.exit_code == 2
    assert "no text in UTF-8" in done.stderr


def test_busy_service_is_asked_again_when_it_says():
    """429 and 503 with Retry-After, until the attempts are used up."""
    busy = [answer(status, {}, head="retry-after: 0\r\n") for status in ("429 x", "503 x")]  # fmt: skip  # noqa: E501 - one list
    answers = [*busy, PAGE, *busy]

    async def behave(peer) -> None:
        await peer.send(answers.pop(0))

    with in_a_thread(behave) as rogue:
        good = run("list", "--url", rogue.url)
        bad = run("list", "--url", rogue.url, "--retries", "1")

    assert (good.exit_code, bad.exit_code) == (0, 1)
    assert "503" in bad.stderr


@pytest.mark.parametrize(
    "command", [["update", "+1", "--note", "x"], ["delete", "+1"]], ids=lambda c: c[0]
)
def test_version_that_is_told_is_the_one_that_is_there(command):
    """Others may change the contact between the question and the change."""
    old, new = ({**CONTACT, "version": version} for version in (1, 2))
    late = answer("412 Precondition Failed", {}, head="connection: close\r\n")
    page = answer("200 OK", {"items": [old], "next": None})
    answers = [page, late, answer("200 OK", new)]

    async def behave(peer) -> None:
        await peer.send(answers.pop(0))

    with in_a_thread(behave) as rogue:
        done = run(*command, "--version", "1", "--url", rogue.url, "--retries", "0")

    assert done.exit_code == 1
    assert "it has version 2 now" in done.stderr


def test_stranger_moves_no_cursor_and_breaks_no_line():
    """Neither on a terminal nor in a pipe."""
    with in_a_thread(always(PAGE)) as rogue:
        piped = run("list", "--url", rogue.url)
        with on_terminal("phonebook", "list", "--url", rogue.url) as terminal:
            assert terminal.await_exit() == 0

    assert piped.stdout == "+1\tA?[31m\tB\t\t\tx\n"
    assert "A?[31m B" in terminal.shown


def test_nobody_there_exits_4_with_a_hint():
    """No trace, and not a word of sockets."""
    done = run("list", "--url", "127.0.0.1:1", "--retries", "0")

    assert done.exit_code == 4
    assert "no answer from 127.0.0.1:1" in done.stderr
    assert "is it running" in done.stderr


def test_certificate_is_checked_unless_told_otherwise(tmp_path):
    """`--ca` believes an authority, `--insecure` anybody, with a warning."""
    authority = Authority()
    ca = tmp_path / "ca.pem"
    ca.write_text(authority.pem)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*authority.issue("localhost").write(tmp_path))
    with in_a_thread(always(PAGE), tls=tls) as rogue:
        url = ["list", "--url", f"https://localhost:{rogue.port}", "--retries", "0"]
        unknown = run(*url)
        known = run(*url, "--cacert", str(ca))
        insecure = run(*url, "--insecure")
        plain = run("list", "--url", f"localhost:{rogue.port}", "--retries", "0")

    assert (unknown.exit_code, known.exit_code, insecure.exit_code) == (4, 0, 0)
    assert "--ca FILE" in unknown.stderr
    assert known.stderr == ""
    assert "may read along" in insecure.stderr
    assert plain.exit_code == 4


def importing_up_to(pieces: int, bodies: list[bytes], *, then: bytes | None = None):
    """Returns what acknowledges so many pieces, then hangs up, or says *then*."""

    async def behave(peer) -> None:
        length = int(peer.head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = await peer.reader.readexactly(length)
        bodies.append(body)
        if len(bodies) <= pieces:
            count = body.count(b"\n") - 1
            sums = {"added": count, "skipped": 0, "refused": 0, "errors": []}
            await peer.send(answer("200 OK", sums))
        elif then is not None:
            await peer.send(then)
        else:
            raise EOFError

    return behave


@pytest.fixture
def file(tmp_path):
    """1200 contacts."""
    found = tmp_path / "many.csv"
    rows = "".join(f"N{n},+1555{n:07}\n" for n in range(1200))
    found.write_text("first_name,number\n" + rows)
    return found


def test_import_that_is_cut_tells_where_to_go_on(file):
    """What was acknowledged is told, and the rest is all that is sent then."""
    first, rest = [], []
    with in_a_thread(importing_up_to(1, first)) as rogue:
        cut = run("import", str(file), "--url", rogue.url, "--retries", "0")
    with in_a_thread(importing_up_to(9, rest)) as rogue:
        whole = run("import", str(file), "--url", rogue.url, "--from-line", "502")

    assert cut.exit_code == 4
    assert "--from-line 502 goes on" in cut.stderr
    assert cut.stdout == "500 added, 0 skipped, 0 refused\n"
    assert (whole.exit_code, whole.stdout) == (0, "700 added, 0 skipped, 0 refused\n")
    sent = b"".join(each.partition(b"\n")[2] for each in [first[0], *rest])
    assert sent == file.read_bytes().partition(b"\n")[2]


def test_piece_whose_answer_is_lost_is_sent_again(file):
    """And it is told that skipped contacts may be its own."""
    bodies, there = [], {"added": 0, "skipped": 500, "refused": 0, "errors": []}
    added = importing_up_to(9, bodies)
    again = importing_up_to(0, bodies, then=answer("200 OK", there))
    turns = [importing_up_to(0, bodies), again, added, added]

    async def behave(peer) -> None:
        await turns.pop(0)(peer)

    with in_a_thread(behave) as rogue:
        done = run("import", str(file), "--url", rogue.url)

    assert bodies[0] == bodies[1]
    assert (done.exit_code, turns) == (0, [])
    assert done.stdout == "700 added, 500 skipped, 0 refused\n"
    assert "an answer was lost" in done.stderr


@pytest.mark.parametrize(
    "then",
    [answer("200 OK", {}), answer("200 OK", b"<"), answer("500 No", {})],
    ids=["no-sums", "no-json", "500"],
)
def test_import_believes_no_strange_answer(file, then):
    """Only sums acknowledge a piece."""
    with in_a_thread(importing_up_to(1, [], then=then)) as rogue:
        done = run("import", str(file), "--url", rogue.url, "--retries", "0", "--json")

    assert done.exit_code == 1
    assert json.loads(done.stdout)["last_line"] == 501


def test_interrupted_import_tells_what_is_there(file):
    """Ctrl-C: 130, the line, no trace."""
    bodies = []

    async def behave(peer) -> None:
        await importing_up_to(1, bodies)(peer) if not bodies else await peer.gone()

    with in_a_thread(behave) as rogue:
        arguments = ["phonebook", "import", str(file), "--url", rogue.url]
        with on_terminal(*arguments) as terminal:
            until(lambda: rogue.requests >= 2 or terminal.process.poll() is not None)
            terminal.type(b"\x03")
            code = terminal.await_exit()

    assert code == 128 + signal.SIGINT
    assert "--from-line 502" in terminal.shown
    assert "Traceback" not in terminal.shown


def test_export_that_breaks_leaves_the_old_file(tmp_path):
    """And nothing beside it."""
    part = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"

    async def behave(peer) -> None:
        await peer.send(part)
        raise EOFError

    file = tmp_path / "old.csv"
    file.write_text("old")
    with in_a_thread(behave) as rogue:
        done = run("export", str(file), "--url", rogue.url, "--retries", "0")

    assert done.exit_code == 4
    assert file.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["old.csv"]


def test_reader_that_is_gone_ends_an_export_silently():
    """`| head` makes no trace."""
    read, write = os.pipe()
    os.close(read)
    with in_a_thread(always(answer("200 OK", b"x" * 1_000_000))) as rogue:
        command = [sys.executable, "-m", "service", "phonebook", "export"]
        with os.fdopen(write, "wb") as gone:
            done = subprocess.run(
                [*command, "--url", rogue.url],
                check=False, stdout=gone, stderr=subprocess.PIPE, timeout=60,
            )  # fmt: skip

    assert (done.returncode, done.stderr) == (1, b"")
