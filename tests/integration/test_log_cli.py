"""`httpserver log produce`, `consume` and `tail` of a real service."""

import asyncio
import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from service.log_client.client import LogClient
from tests.support.certificates import Authority, TlsMount
from tests.support.log_service import PORT, serving_log
from tests.support.process import LIMIT
from tests.support.terminal import on_terminal

TOKEN = "a-token-of-sixteen-characters-or-more"
BECOME = [sys.executable, "-m", "service", "log"]


@pytest.fixture
def service(tmp_path):
    with serving_log(tmp_path / "log") as running:
        yield running


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    with serving_log(tmp_path_factory.mktemp("empty") / "log") as running:
        yield running


def environment(service, **more):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HTTPSERVER_")}
    return kept | {"HTTPSERVER_LOG": f"127.0.0.1:{service.ports[PORT]}"} | more


def run(service, *arguments, stdin=b"", **more):
    """What a command wrote, what it complained of, and its exit code."""
    done = subprocess.run(
        [*BECOME, *arguments],
        input=stdin,
        capture_output=True,
        env=environment(service, **more),
        timeout=LIMIT,
        check=False,
    )
    return done.stdout, done.stderr.decode(), done.returncode


def begun(service, *arguments, **more):
    return subprocess.Popen(
        [*BECOME, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(service),
        **more,
    )


def stored(service):
    async def values():
        async with LogClient(f"127.0.0.1:{service.ports[PORT]}", deadline=LIMIT) as log:
            return [each.value async for some in log.between(0) for each in some]

    return asyncio.run(values())


def until_stored(service, count):
    end = time.monotonic() + LIMIT
    while len(stored(service)) < count:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_values_lines_and_json_are_what_is_consumed(service):
    """Offsets of arguments, a sum for lines; JSON goes in as it came out."""
    one = run(service, "produce", "--key", "k", "-H", "a: 1", "x\ny", "ü")
    lines = run(service, "produce", stdin=b"l1\n\n\xff\r\nlast")
    as_json = run(service, "consume", "--json", "--count", "1")[0]
    again = run(service, "produce", "--json", stdin=as_json)
    all_json = run(service, "consume", "--json")[0].splitlines()
    found = [json.loads(each) for each in all_json]

    assert one == (b"0\n1\n", "", 0)
    assert lines == (b"4 records acknowledged, offsets 2 to 5\n", "", 0)
    assert again == (b"1 record acknowledged, offsets 6 to 6\n", "", 0)
    values = [base64.b64decode(each["value"]) for each in found]
    assert values == [b"x\ny", "ü".encode(), b"l1", b"", b"\xff\r", b"last", b"x\ny"]
    fields = ("value", "key", "headers")
    assert [found[0][name] for name in fields] == [found[6][name] for name in fields]
    assert found[0]["key"] == base64.b64encode(b"k").decode()


def test_consumer_begins_where_it_is_told_to(service):
    """An offset, from the end, or a time."""
    run(service, "produce", "0", "1", "2")
    expected = {
        "earliest": b"0\n1\n2\n",
        "1": b"1\n2\n",
        "-1": b"2\n",
        "latest": b"",
        "2020-01-01": b"0\n1\n2\n",
        "2999-01-01T00:00+01:00": b"",
    }
    found = {begin: run(service, "consume", "--from", begin) for begin in expected}

    assert found == {begin: (text, "", 0) for begin, text in expected.items()}


@pytest.mark.parametrize(
    ("arguments", "stdin", "complaint", "code"),
    [
        (["consume", "--from", "9"], b"", "there is no offset 9: it is empty", 1),
        (["consume", "--from", "soon"], b"", "--from 'soon' is not an offset", 2),
        (["consume", "--stream", "other"], b"", "There is no such stream", 1),
        (["consume", "--server", "a b"], b"", "'a b:8400' is not host:port", 2),
        (["consume", "--server", "service://x"], b"", "no discovery here", 2),
        (["consume", "--server", "127.0.0.1:1", "--retries", "0"], b"", "refused", 4),
        (["consume", "--cert", "/none"], b"", "--cert-key go together", 2),
        (["consume", "--ca", "/none"], b"", "/none: No such file", 2),
        (["produce", "--file", "/none"], b"", "/none: No such file", 2),
        (["produce", "x", "--file", "/none"], b"", "either values or a file", 2),
        (["produce", "--json"], b"[]\n", "line 1: it is no object with", 2),
        (["produce", "--json"], b'{"value": "?"}', "line 1: value is not base64", 2),
        (["produce", "--json"], b'{"value":"","x":1}', "line 1: a record has no", 2),
        (["produce", "--json"], b'{"value":"","headers":[1]}', "no list of pairs", 2),
    ],
)
def test_what_can_not_be_done_is_told_in_a_line(
    empty, arguments, stdin, complaint, code
):
    """And nothing else: no stack trace, the exit code of its kind."""
    _, told, exit_code = run(empty, *arguments, stdin=stdin)

    assert exit_code == code
    assert complaint in told
    assert "Traceback" not in told


def test_wrong_line_leaves_those_before_it_and_tells_where_to_go_on(service):
    """They are stored; --from-line leaves them out."""
    lines = b'{"value": "YQ=="}\n{"value": "Yg=="}\n{"value": 1}\n'
    written, told, code = run(service, "produce", "--json", stdin=lines)
    mended = lines.replace(b"1", b'"Yw=="')
    more = run(service, "produce", "--json", "--from-line", "3", stdin=mended)

    assert (written, code) == (b"2 records acknowledged, offsets 0 to 1\n", 2)
    assert told.splitlines()[1] == "to go on: --from-line 3"
    assert more[2] == 0
    assert stored(service) == [b"a", b"b", b"c"]


def test_interrupted_producer_tells_what_is_acknowledged(service):
    """Ctrl-C: exit code 130, lines that are stored are told."""
    # on a busy machine Ctrl-C may overtake what was acknowledged; it says so
    for first in range(0, 10, 2):
        with begun(service, "produce") as command:
            command.stdin.write(b"a\nb\n")
            command.stdin.flush()
            until_stored(service, first + 2)
            command.send_signal(signal.SIGINT)
            written, told = command.communicate(timeout=LIMIT)
        assert command.returncode == 130
        if b"may be stored or not" not in told:
            break

    expected = f"2 records acknowledged, offsets {first} to {first + 1}\n"
    assert written.decode() == expected
    assert b"to go on: --from-line 3" in told


def test_producer_of_a_killed_service_tells_where_to_go_on(tmp_path):
    """What it says is acknowledged is there; with --from-line the rest follows."""
    values = [b"%d" % n for n in range(50_000)]
    lines = b"".join(each + b"\n" for each in values)
    with serving_log(tmp_path / "log") as service:
        # no further attempts: nobody comes back on that port
        with begun(service, "produce", "--batch", "10", "--retries", "0") as command:

            def feed():
                with contextlib.suppress(BrokenPipeError):
                    command.stdin.write(lines)
                    command.stdin.flush()  # and no end: it is not done before the kill

            feeding = threading.Thread(target=feed)
            feeding.start()
            until_stored(service, 1)
            service.signal(signal.SIGKILL)
            command.wait(LIMIT)
            feeding.join(LIMIT)
            written, told = command.stdout.read(), command.stderr.read()
            with contextlib.suppress(BrokenPipeError):
                command.stdin.close()
    count = int(written.split()[0])
    go_on = str(count + 1)
    with serving_log(tmp_path / "log") as service:
        kept = stored(service)
        rest = run(service, "produce", "--from-line", go_on, stdin=lines)
        whole = stored(service)

    assert command.returncode == 4
    assert f"to go on: --from-line {go_on}" in told.decode()
    assert kept == values[: len(kept)]
    assert len(kept) >= count
    assert rest[2] == 0
    assert whole == kept + values[count:]


def test_line_over_a_message_leaves_those_before_it_and_is_named(service):
    """Sent again from there, nothing is stored twice."""
    lines = [b"%d" % n for n in range(20_000)]
    stdin = b"\n".join([*lines, bytes(4_200_000), b"last"])
    written, told, code = run(service, "produce", stdin=stdin)
    mended = b"\n".join([*lines, b"shorter", b"last"])
    more = run(service, "produce", "--from-line", "20001", stdin=mended)

    assert (written, code) == (b"20000 records acknowledged, offsets 0 to 19999\n", 1)
    assert "standard input: line 20001 is too large" in told
    assert "to go on: --from-line 20001" in told
    assert "may be stored" not in told
    assert more[2] == 0
    assert stored(service) == [*lines, b"shorter", b"last"]


def test_lines_that_the_log_does_not_take_are_named(tmp_path):
    """Those that were sent at once, with --batch 1 the very line."""
    lines = b"a\n" + b"x" * 200 + b"\nb"
    with serving_log(tmp_path / "log", policy__max_record_bytes=100) as service:
        at_once = run(service, "produce", stdin=lines)
        each = run(service, "produce", "--batch", "1", stdin=lines)
        kept = stored(service)

    some = "one of lines 1 to 2 is too large, or all at once: --batch 1 tells which"
    assert f"standard input: {some}\nto go on: --from-line 1\n" in at_once[1]
    assert "standard input: line 2 is too large\nto go on: --from-line 2\n" in each[1]
    assert (at_once[2], each[2]) == (1, 1)
    assert kept == [b"a"]


def test_tail_shows_what_comes_until_it_is_interrupted(service):
    """From now on; Ctrl-C ends it with 130."""
    run(service, "produce", "before")
    with begun(service, "tail", "--from", "-1") as command:
        assert command.stdout.readline() == b"before\n"
        run(service, "produce", "after")
        assert command.stdout.readline() == b"after\n"
        command.send_signal(signal.SIGINT)
        command.communicate(timeout=LIMIT)

    assert command.returncode == 130


def test_reader_that_is_gone_ends_the_command_silently(service):
    """As `| head` does."""
    run(service, "produce", stdin=b"x" * 99 + b"\n" * 30_000)
    with begun(service, "consume") as command:
        command.stdout.close()
        told = command.stderr.read()
        command.wait(LIMIT)

    assert (told, command.returncode) == (b"", 1)


def test_terminal_shows_progress_and_nothing_that_it_would_obey(service):
    """A bar while lines are sent; control characters are shown as `?`."""
    run(service, "produce", "\x1b[2J!")
    with on_terminal("log", "consume", **environment(service)) as shown:
        assert "?[2J!" in shown.await_text("!")
        assert shown.await_exit() == 0
    with on_terminal("log", "produce", **environment(service)) as shown:
        shown.await_text("produce")
        shown.type(b"typed\n")
        shown.await_text("1/")
        shown.type(b"\x04")
        assert shown.await_exit() == 0

    assert stored(service)[1:] == [b"typed"]


def test_credentials_come_from_files_and_the_environment(tmp_path):
    """mTLS and a token, as a listed service wants them."""
    authority = Authority()
    mount = TlsMount(tmp_path / "tls", authority.server(), ca=authority.pem)
    ca = tmp_path / "ca.crt"
    ca.write_text(authority.pem)
    tls = {
        "tls__enabled": "true",
        "tls__cert_file": mount.folder / "tls.crt",
        "tls__key_file": mount.folder / "tls.key",
        "access": "listed",
        "tokens": json.dumps({"me": TOKEN}),
        "permissions": json.dumps({"me": {"produce": ["*"]}}),
    }
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    with serving_log(tmp_path / "log", **tls) as service:
        nobody = run(service, "produce", "x", "--ca", str(ca))
        by_file = run(service, "produce", "x", "--ca", str(ca), "--token-file", token)
        named = run(service, "produce", "x", "--ca", str(ca), HTTPSERVER_TOKEN=TOKEN)
        denied = run(service, "consume", "--ca", str(ca), HTTPSERVER_TOKEN=TOKEN)
        distrusted = run(service, "produce", "x", "--tls", "--retries", "0")

    assert nobody[2] == 1
    assert "HTTPSERVER_TOKEN" in nobody[1]
    assert (by_file[0], named[0]) == (b"0\n", b"1\n")
    assert denied[2] == 1
    assert "don't allow it" in denied[1]
    assert distrusted[2] == 4
    assert "CERTIFICATE_VERIFY_FAILED" in distrusted[1]
