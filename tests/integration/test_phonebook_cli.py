"""`httpserver phonebook` against a real service: reading and changing contacts."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner, Result

from service.cli import app
from tests.support.process import serving
from tests.support.terminal import on_terminal

ANN = ["Ann", "Müller", "030 901820"]
NUMBER = "+4930901820"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    path = tmp_path_factory.mktemp("book") / "phonebook.sqlite3"
    settings = {"phonebook__enabled": True, "phonebook__sqlite_path": path}
    with serving(**settings, phonebook__region="DE") as service:
        yield service.url


@pytest.fixture
def book(url):
    """Runs a command against a phone book that finds it empty."""

    def run(*arguments: str, stdin: str | bytes = "") -> Result:
        environment = {"HTTPSERVER_URL": url}
        command = ["phonebook", *arguments]
        return CliRunner().invoke(app, command, input=stdin, env=environment)

    yield run
    numbers = [line.split("\t")[0] for line in run("list", "--limit", "0").stdout.splitlines()]  # fmt: skip  # noqa: E501 - one list
    if numbers:
        assert run("delete", *numbers).exit_code == 0


def test_contact_lives_from_insert_to_delete(book):
    """Each command prints the contact as it is, fields between tabs in a pipe."""
    made = book("insert", *ANN, "--email", "ann@example.org", "--note", "a\n b")
    fields = made.stdout.rstrip("\n").split("\t")

    assert (made.exit_code, made.stderr) == (0, "")
    assert fields[:5] == [NUMBER, "Ann", "Müller", "ann@example.org", "a b"]
    assert book("list").stdout == made.stdout
    assert book("search", "mul", "an").stdout == made.stdout
    assert book("search", "030", "901820").stdout == made.stdout
    assert book("search", "+4930*").stdout == made.stdout
    changed = book("update", fields[5], "--last-name", "Lee", "--note", "")
    assert changed.stdout.split("\t")[1:5] == ["Ann", "Lee", "ann@example.org", ""]
    assert book("status").stdout.endswith(": 1 contacts\n")
    assert json.loads(book("status", "--json").stdout)["contacts"] == 1
    assert book("delete", NUMBER).stdout == changed.stdout
    assert (book("list").stdout, book("list").exit_code) == ("", 0)


def test_json_is_what_the_service_tells(book):
    """A line for each contact, with what the table leaves out."""
    book("insert", *ANN)
    book("insert", "", "Zoe", "030901821")
    contacts = [json.loads(line) for line in book("list", "--json").stdout.splitlines()]

    assert [each["last_name"] for each in contacts] == ["Müller", "Zoe"]
    assert {"id", "version", "created_at", "email"} <= {*contacts[0]}
    backwards = book("list", "--json", "--sort", "-name").stdout.splitlines()
    assert [json.loads(line) for line in backwards] == contacts[::-1]


def test_pages_are_put_together(book):
    """A limit is kept, and what it hides is told; 0 is all."""
    rows = "".join(f"N{n},+1555{n:07}\n" for n in range(1203))
    kind = ["import", "-", "--format", "csv"]
    assert book(*kind, stdin="first_name,number\n" + rows).exit_code == 0
    some, everybody = book("list", "--limit", "501"), book("list", "--limit", "0")

    assert len(some.stdout.splitlines()) == 501
    assert "the first 501" in some.stderr
    assert len(everybody.stdout.splitlines()) == 1203
    assert everybody.stderr == ""


def test_taken_number_names_who_has_it(book):
    """In whatever form it was given."""
    book("insert", *ANN)
    again = book("insert", "Eva", "Lee", "+49 30 901820")
    book("insert", "Eva", "Lee", "030901821")
    moved = book("update", "030901821", "--number", NUMBER)

    assert (again.exit_code, moved.exit_code) == (1, 1)
    assert "is taken: Ann Müller (" in again.stderr
    assert "is taken: Ann Müller (" in moved.stderr


def test_same_idempotency_key_adds_once(book):
    """A script may run its command again."""
    first = book("insert", *ANN, "--idempotency-key", "one")
    again = book("insert", *ANN, "--idempotency-key", "one")

    assert first.exit_code == again.exit_code == 0
    assert again.stdout == first.stdout


def test_change_meant_for_another_version_is_refused(book):
    """And the version that is there is told."""
    book("insert", *ANN)
    assert book("update", NUMBER, "--note", "x", "--version", "1").exit_code == 0
    late = book("update", NUMBER, "--note", "y", "--version", "1")
    gone = book("delete", NUMBER, "--version", "1")

    assert (late.exit_code, gone.exit_code) == (1, 1)
    assert "it has version 2 now" in late.stderr
    assert "it has version 2 now" in gone.stderr
    assert book("delete", NUMBER, "--version", "2").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["search", "nobody"], "no contact was found", id="search"),
        pytest.param(["search", "+1*"], "no contact was found", id="prefix"),
        pytest.param(["delete", "030901829"], "no contact has 030901829", id="delete"),
        pytest.param(
            ["update", "01a1fe0e-d4bb-79d6-ac50-8342e5f2dfda", "--note", "x"],
            "no contact has 01a1fe0e",
            id="id",
        ),
        pytest.param(["delete", "x"], "number: it is no telephone", id="no-number"),
        pytest.param(["insert", "", "", "030901820"], "last_name: one of", id="name"),
        pytest.param(["insert", "A\x1b", "", "030901820"], "first_name: ", id="sign"),
    ],
)
def test_what_the_service_refuses_exits_1(book, arguments, told):
    """With its reason in words, and nothing on standard output."""
    done = book(*arguments)

    assert (done.exit_code, done.stdout) == (1, "")
    assert told in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["list", "--url", "ftp://x"], "must begin with http", id="scheme"),
        pytest.param(["list", "--url", "http://u:p@x"], "credentials", id="password"),
        pytest.param(["list", "--url", ""], "names no host", id="no-host"),
        pytest.param(["list", "--sort", "id"], "'--sort'", id="sort"),
        pytest.param(["list", "--limit", "-1"], "'--limit'", id="limit"),
        pytest.param(["list", "-H", "x"], "is no header", id="header"),
        pytest.param(["list", "-H", "@/none"], "No such file", id="header-file"),
        pytest.param(["list", "--token-file", "/none"], "No such file", id="token"),
        pytest.param(["list", "--ca", "/none"], "--ca /none", id="ca"),
        pytest.param(["list", "--resolve", "x"], "HOST:PORT:ADDRESS", id="resolve"),
        pytest.param(["update", "1"], "nothing is to be changed", id="no-change"),
        pytest.param(["delete", "1*"], "are for search", id="prefix"),
        pytest.param(["delete", "1", "2", "--version", "1"], "for one", id="version"),
        pytest.param(["insert", "A", "B"], "Missing argument", id="no-number"),
        pytest.param(["search"], "Missing argument", id="no-word"),
        pytest.param(["nope"], "No such command 'nope'", id="command"),
    ],
)
def test_wrong_usage_exits_2(book, arguments, told):
    """A usage line and the reason, before anything is sent."""
    done = book(*arguments)

    assert (done.exit_code, done.stdout) == (2, "")
    assert told in " ".join(done.stderr.split())


def test_delete_goes_on_after_one_that_was_not_there(book):
    """The others are gone, and the exit code tells."""
    book("insert", *ANN)
    done = book("delete", "030901829", NUMBER)

    assert done.exit_code == 1
    assert done.stdout.startswith(NUMBER)
    assert "no contact has 030901829" in done.stderr


def test_terminal_gets_a_table(book, url):
    """With a head, and wide scripts in line; what does not fit is cut."""
    book("insert", "Ann", "Müller", "030 901820", "--note", "long " * 30)
    book("insert", "花子", "山田", "030 901821")
    with on_terminal("phonebook", "list", "--url", url, columns=60) as terminal:
        assert terminal.await_exit() == 0
    lines = terminal.shown.splitlines()

    assert all(word in lines[0] for word in ("NUMBER", "NAME", "NOTE"))
    assert any("+4930901821" in line and "花子 山田" in line for line in lines)
    assert "…" in terminal.shown
    assert "\t" not in terminal.shown


def test_variables_of_commands_are_no_settings(book, url):
    """A shell that has them set runs the commands that read settings too."""
    names = ("URL", "TOKEN", "PUSHGATEWAY", "LOG")
    known = {f"HTTPSERVER_{name}": url for name in names}
    assert CliRunner().invoke(app, ["config", "show"], env=known).exit_code == 0


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("httpserver phonebook ", ["list", "search", "insert", "import", "backup"]),
        ("httpserver phonebook ex", ["export"]),
        ("httpserver phonebook list --so", ["--sort"]),
        ("httpserver phonebook list --sort cr", ["created"]),
        ("httpserver phonebook export --format ", ["csv", "jsonl", "vcard"]),
    ],
)
def test_shell_completes_commands_options_and_values(typed, offered):
    """As the script of `--install-completion` asks."""
    asking = {
        "_HTTPSERVER_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split(" ")) - 1),
    }
    program = "from service.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | asking,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert {*offered} <= {*done.stdout.split()}
