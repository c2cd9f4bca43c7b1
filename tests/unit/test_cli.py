"""The command line: exit codes, what goes to which stream, and that it tells enough."""

import json
from typing import get_args

import pytest
from argon2 import PasswordHasher
from typer.testing import CliRunner, Result

from service import __version__
from service.cli import app
from service.config.leaves import leaves
from service.settings import LogLevel

SECRET = "hunter2" * 8


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    """Nothing of the machine's own settings gets in."""
    monkeypatch.setenv("HTTPSERVER_SECRETS_DIR", str(tmp_path))
    config = tmp_path / ".." / f"{tmp_path.name}.yaml"
    config.write_text("")
    monkeypatch.setenv("HTTPSERVER_CONFIG", str(config))


def run(*arguments: str, stdin: str | bytes = "", **environment: str) -> Result:
    return CliRunner().invoke(app, arguments, input=stdin, env=environment)


def test_version_is_printed():
    """`version` names the service, its version and Python's."""
    result = run("version")

    assert result.exit_code == 0
    assert result.stdout.startswith(f"httpserver {__version__} (Python 3.")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["nope"], "No such command 'nope'", id="command"),
        pytest.param(["config", "nope"], "No such command 'nope'", id="subcommand"),
        pytest.param(["serve", "--nope"], "No such option: --nope", id="option"),
        pytest.param(["serve", "--port", "abc"], "'--port'", id="no number"),
        pytest.param(["serve", "--log-level", "x"], "'--log-level'", id="no level"),
        pytest.param(["serve", "--set", "x"], "SECTION.FIELD=VALUE", id="no equals"),
        pytest.param(["serve", "--set", "=x"], "SECTION.FIELD=VALUE", id="no key"),
        pytest.param(["config", "show", "--format", "x"], "'--format'", id="format"),
        pytest.param(["version", "x"], "unexpected extra argument", id="argument"),
    ],
)
def test_wrong_usage_exits_2_with_a_usage_line(arguments, told):
    """A wrong command or option has a usage line and its reason on standard error."""
    result = run(*arguments)

    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: ")
    assert told in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["serve", "config show", "config check"])
def test_wrong_settings_exit_2_with_a_line_for_each_problem(tmp_path, command):
    """Every problem of every source is one line on standard error, and no more."""
    file = tmp_path.parent / "wrong.yaml"
    file.write_text(f"a: 1\nlogin: {{token_key: [{SECRET}]}}")
    result = run(
        *command.split(),
        *["--config", str(file), "--set", "log.levl=x"],
        HTTPSERVER_LOG__FORMAT="x",
    )

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"{file}:1: a: no such setting",
        f"{file}:2: login.token_key: must be a valid string",
        "env:HTTPSERVER_LOG__FORMAT: log.format: must be 'auto', 'json' or 'console'",
        "flag:--set: log.levl: no such setting; did you mean log.level?",
    ]


def test_options_of_serve_are_flags():
    """Each option sets its setting and is named when it is wrong."""
    options = {
        "--port": "server.ports[1]",
        "--admin-port": "server.admin.port",
        "--workers": "server.workers",
    }
    arguments = [part for option in options for part in (option, "-1")]
    result = run("serve", "--port", "1", *arguments)

    assert result.exit_code == 2
    assert [line.rpartition(": ")[0] for line in result.stderr.splitlines()] == [
        f"flag:{option}: {key}" for option, key in options.items()
    ]


def test_check_of_good_settings_exits_0(tmp_path):
    """`config check` is silent on standard error when all is well."""
    (tmp_path / "log__level").write_text("debug\n")
    result = run("config", "check", "--secrets-dir", str(tmp_path))

    assert (result.exit_code, result.stderr) == (0, "")


def test_show_tells_every_setting_with_its_origin(tmp_path):
    """`config show` has the value in force and the place it came from."""
    (tmp_path / "login__token_key").write_text(SECRET)
    result = run(
        "config", "show", "--set", "log.level=debug", HTTPSERVER_LOG__PROBES="1"
    )
    lines = {line.split()[0]: line.split() for line in result.stdout.splitlines()}

    assert result.exit_code == 0
    assert lines.keys() - {"Setting"} == leaves().keys()
    assert lines["log.level"] == ["log.level", "debug", "flag:--set"]
    assert lines["log.probes"] == ["log.probes", "true", "env:HTTPSERVER_LOG__PROBES"]
    assert lines["login.token_key"][1:] == ["**********", "secrets:login__token_key"]
    assert SECRET not in result.output


def test_show_as_json_is_json():
    """`--format json` is one object."""
    result = run("config", "show", "--format", "json")

    assert json.loads(result.stdout).keys() == leaves().keys()


def test_show_as_yaml_is_a_settings_file(tmp_path):
    """`--format yaml` can be a settings file again."""
    file = tmp_path.parent / "again.yaml"
    file.write_text(run("config", "show", "--format", "yaml").stdout)

    assert run("config", "check", "--config", str(file)).exit_code == 0


def test_example_is_a_settings_file(tmp_path):
    """`config example` is one that can be used."""
    file = tmp_path.parent / "example.yaml"
    file.write_text(run("config", "example").stdout)

    assert run("config", "check", "--config", str(file)).exit_code == 0


def test_schema_is_json_schema():
    """`config schema` prints the schema of a settings file."""
    assert json.loads(run("config", "schema").stdout)["additionalProperties"] is False


def test_log_levels_of_the_option_are_those_of_the_setting():
    """The command line repeats the levels, to start without the settings' types."""
    text = run("serve", "--help").stdout.replace("\n", "")

    assert f"<{'|'.join(get_args(LogLevel))}>" in text


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_hash_is_that_of_the_password_without_its_line_end(end):
    """The hash verifies the line that was piped in."""
    result = run("hash-password", stdin=f" pässword {end}")

    assert result.exit_code == 0
    assert PasswordHasher().verify(result.stdout.strip(), " pässword ")


@pytest.mark.parametrize(
    ("stdin", "told"),
    [
        pytest.param("\n", "empty", id="empty"),
        pytest.param(b"\xff\n", "UTF-8", id="not UTF-8"),
        pytest.param("a\nb\n", "more than one line", id="two lines"),
        pytest.param("a" * 5000, "longer than", id="long"),
    ],
)
def test_input_that_is_no_password_is_refused(stdin, told):
    """What can't be meant as a password exits 2 with the reason."""
    result = run("hash-password", stdin=stdin)

    assert result.exit_code == 2
    assert told in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["serve", "-h"],
        ["config", "-h"],
        *(["config", name, "-h"] for name in ("show", "check", "schema", "example")),
        ["hash-password", "-h"],
        ["version", "-h"],
    ],
)
def test_help_says_what_a_command_does(command):
    """Each command's help has a usage line and a sentence."""
    result = run(*command)

    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")
    assert ". " in result.stdout.replace("\n", " ")
