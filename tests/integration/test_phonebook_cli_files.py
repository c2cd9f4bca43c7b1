"""`httpserver phonebook import` and `export` of a real service."""

import json

import pytest
from typer.testing import CliRunner, Result

from service.cli import app
from tests.support.phonebook import number
from tests.support.process import serving
from tests.support.terminal import on_terminal


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    path = tmp_path_factory.mktemp("book") / "phonebook.sqlite3"
    settings = {"phonebook__enabled": True, "phonebook__sqlite_path": path}
    with serving(**settings, throttle__enabled=False) as service:
        yield service.url


@pytest.fixture
def book(url):
    """Runs a command against a phone book that finds it empty."""

    def run(*arguments: str, stdin: bytes = b"") -> Result:
        command = ["phonebook", *arguments, "--url", url]
        return CliRunner().invoke(app, command, input=stdin)

    yield run
    everybody = run("export").stdout.splitlines()
    if everybody:
        run("delete", *(json.loads(line)["number"] for line in everybody))


def people(count: int) -> bytes:
    rows = (f'N{n},"Lee, {n}",{number(n)},"two\nlines"\n' for n in range(count))
    return ("first_name,last_name,number,note\n" + "".join(rows)).encode()


@pytest.mark.parametrize("ending", ["csv", "jsonl", "vcf"])
def test_exported_file_is_imported_again(book, tmp_path, ending):
    """Every format, by its name alone; once more it is skipped."""
    book("import", "-", "--format", "csv", stdin=people(30))
    file = str(tmp_path / f"people.{ending}")
    before = book("list", "--limit", "0").stdout
    assert book("export", file).exit_code == 0
    numbers = [line.split("\t")[0] for line in before.splitlines()]
    assert book("delete", *numbers).exit_code == 0
    first, again = book("import", file), book("import", file)

    assert (first.stdout, first.exit_code) == ("30 added, 0 skipped, 0 refused\n", 0)
    assert (again.stdout, again.exit_code) == ("0 added, 30 skipped, 0 refused\n", 0)
    after = book("list", "--limit", "0").stdout
    assert [line.split("\t")[:5] for line in after.splitlines()] == [
        line.split("\t")[:5] for line in before.splitlines()
    ]


def test_refused_records_are_told_by_their_line(book, tmp_path):
    """In whichever piece they are; the rest is added, and the exit code tells."""
    rows = people(1100).split(b"\nN")
    rows[3] = b'3,Lee,x,"two\nlines"'
    rows[700] = b"700,\xff,+15550000700,"
    rows[701] = b"701,too few"
    file = tmp_path / "people.csv"
    file.write_bytes(b"\nN".join(rows))
    tried = book("import", str(file), "--dry-run", "--json")
    done = book("import", str(file))

    assert (tried.exit_code, done.exit_code) == (1, 1)
    assert done.stdout == "1097 added, 0 skipped, 3 refused\n"
    assert [line.split(": ", 1)[1] for line in done.stderr.splitlines()] == [
        "6: number: it is no telephone number",
        "1400: line: it is not UTF-8",
        "1401: line: it has another number of cells",
    ]
    told = [json.loads(line) for line in tried.stdout.splitlines()]
    assert [each["line"] for each in told[:3]] == [6, 1400, 1401]
    assert told[3]["added"] == 1097
    assert told[3]["dry_run"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["import", "none.csv"], 2, "No such file"),
        (["import", "."], 2, "say its --format"),
        (["import", ".", "--format", "csv"], 2, "Is a directory"),
        (["import", "-"], 2, "say its --format"),
        (["import", "-", "--format", "x"], 2, "'--format'"),
        (["import", "-", "--format", "csv"], 1, "the head names no number"),
        (["export", "none/x"], 2, "No such file"),
        (["export", "."], 2, "Is a directory"),
    ],
)
def test_file_that_can_not_be_used_is_told(book, arguments, code, told):
    """Before anything is sent or made."""
    done = book(*arguments, stdin=b"a,b\n1,2\n")

    assert (done.exit_code, done.stdout) == (code, "")
    assert told in done.stderr


def test_export_goes_to_a_pipe_as_it_comes(book):
    """JSON lines, unless another format is named."""
    book("import", "-", "--format", "csv", stdin=people(2))

    assert len(book("export").stdout.splitlines()) == 2
    assert book("export", "-", "--format", "vcard").stdout.count("BEGIN:VCARD") == 2
    assert book("export", "--format", "csv").stdout.startswith("first_name,")


def test_terminal_sees_how_far_it_is(book, url, tmp_path):
    """Bars on a terminal, and what is refused between them."""
    file = tmp_path / "people.csv"
    file.write_bytes(people(600) + b"N,L,x,\n")
    with on_terminal("phonebook", "import", str(file), "--url", url) as one:
        assert one.await_exit() == 1
    out = str(tmp_path / "out.csv")
    with on_terminal("phonebook", "export", out, "--url", url) as other:
        assert other.await_exit() == 0

    assert "━" in one.shown
    assert "1202: number: it is no telephone" in one.shown.replace("\r\n", "")
    assert "600 added, 0 skipped, 1 refused" in one.shown
    assert "export" in other.shown
