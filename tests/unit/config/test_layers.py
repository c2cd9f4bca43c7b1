"""Each source gives values with origins, or problems with places."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from service.config.environment import environment_layer
from service.config.layers import (
    Flag,
    Layer,
    file_layer,
    flags_layer,
    secrets_layer,
)

PATH = Path("/etc/httpserver/config.yaml")
KEY = "k" * 32


def file(text: str, *, path: Path = PATH) -> Layer:
    return file_layer(text.encode(), path=path)


def told(layer: Layer) -> list[str]:
    return [str(problem) for problem in layer.problems]


# -- settings file ---------------------------------------------------------------


def test_file_gives_values_with_their_lines():
    """Every leaf of the file has its value and `file:line`."""
    layer = file(
        "log:\n  level: debug\nserver:\n  admin:\n    port: 1\n  ports: [1, 2]"
    )

    assert layer.problems == []
    assert layer.values == {
        "log.level": "debug",
        "server.admin.port": 1,
        "server.ports": [1, 2],
    }
    assert layer.origins == {
        "log.level": f"{PATH}:2",
        "server.admin.port": f"{PATH}:5",
        "server.ports": f"{PATH}:6",
    }


def test_toml_file_gives_values_with_the_file():
    """TOML's values come from the file, its lines are not known."""
    path = Path("/x/config.toml")
    layer = file('[log]\nlevel = "debug"', path=path)

    assert layer.values == {"log.level": "debug"}
    assert layer.origins == {"log.level": "/x/config.toml"}


def test_section_without_entries_gives_nothing():
    """A section whose entries are all commented out is empty, not wrong."""
    layer = file("log:\n  # level: debug\nserver: {}")

    assert (layer.values, layer.problems) == ({}, [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            "server:\n  drain_dely: 1",
            "2: server.drain_dely: no such setting; did you mean server.drain_delay?",
            id="slip of the pen",
        ),
        pytest.param(
            "server: {idleTimeout: 1}",
            "1: server.idleTimeout: no such setting; did you mean server.idle_timeout?",
            id="camel case",
        ),
        pytest.param(
            "log_level: debug",
            "1: log_level: no such setting; did you mean log.level?",
            id="flat",
        ),
        pytest.param(
            "ports: [1]",
            "1: ports: no such setting; did you mean server.ports or "
            "server.tls.ports or server.admin.port?",
            id="section left out",
        ),
        pytest.param(
            "logs: {}",
            "1: logs: no such setting; did you mean log?",
            id="section's name",
        ),
        pytest.param("quux: 1", "1: quux: no such setting", id="like nothing"),
        pytest.param(
            "log.level: debug",
            "1: log.level: must be written as a mapping of mappings, not with a dot",
            id="dotted key",
        ),
        pytest.param(
            "log: info", "1: log: must be a mapping", id="value for a section"
        ),
        pytest.param("1: x", "1: 1: no such setting", id="number as key"),
        pytest.param(
            '"a\\nb\\e[31m": x', "1: a\\nb\\x1b[31m: no such setting", id="controls"
        ),
        pytest.param(
            "log: {level: loud}",
            "1: log.level: must be 'debug', 'info', 'warning', 'error' or 'critical'",
            id="not a choice",
        ),
        pytest.param(
            "log:\n  level:",
            "2: log.level: must be 'debug', 'info', 'warning', 'error' or 'critical'",
            id="nothing for a value",
        ),
        pytest.param(
            "server:\n  ports:\n    - 1\n    - 70000",
            "4: server.ports[1]: must be less than or equal to 65535",
            id="list item",
        ),
        pytest.param(
            "log:\n  loggers:\n    a: info\n    b.c: x",
            "4: log.loggers.b.c: must be 'debug', 'info', 'warning', 'error' or "
            "'critical'",
            id="mapping entry",
        ),
        pytest.param(
            "server: {ports: []}",
            "1: server.ports: List must have at least 1 item after validation, not 0",
            id="empty list",
        ),
        pytest.param(
            'server: {workers: "2"}',
            "1: server.workers: must be a valid integer",
            id="text for a number",
        ),
        pytest.param(
            "server: {drain_delay: true}",
            "1: server.drain_delay: must be a valid number",
            id="truth value for a number",
        ),
        pytest.param(
            "server: {workers: 1.5}",
            "1: server.workers: must be a valid integer",
            id="fraction for an integer",
        ),
        pytest.param(
            "demo: {delay_max: .nan}",
            "1: demo.delay_max: must be a finite number",
            id="not a number",
        ),
        pytest.param(
            "metrics: {buckets: [1, .inf]}",
            "1: metrics.buckets[1]: must be a finite number",
            id="infinity in a list",
        ),
        pytest.param(
            "login:\n  token_key: short",
            "2: login.token_key: must have at least 32 characters",
            id="short secret",
        ),
        pytest.param("log: {}\nlog: {}", "2: log: stands twice", id="repeated key"),
    ],
)
def test_problem_in_the_file_tells_line_key_and_reason(text, problem):
    """What is wrong in a file is one line: place, key, reason."""
    assert told(file(text)) == [f"{PATH}:{problem}"]


def test_all_problems_are_told_at_once():
    """One bad value hides neither another nor a good one."""
    layer = file("a: 1\nlog: {level: x, access: 3, probes: true}\nserver: {b: 1}")

    assert [problem.key for problem in layer.problems] == [
        "a",
        "log.level",
        "log.access",
        "server.b",
    ]
    assert layer.values == {"log.probes": True}


def test_whole_float_is_an_integer():
    """What Helm writes for a large number fits an integer setting."""
    layer = file("server: {max_body_bytes: 1.048576e+06, workers: 2.0}")

    assert layer.values == {"server.max_body_bytes": 1048576, "server.workers": 2}


def test_file_that_cannot_be_read_gives_its_place_and_is_not_whole():
    """A file of bad syntax has one problem, and nothing is known of its values."""
    layer = file("log:\n  level: [")

    assert str(layer.problems[0]).startswith(f"{PATH}:2: ")
    assert not layer.whole


def test_value_of_a_secret_is_never_told():
    """However a secret is wrong, its text stays out of the problem."""
    hunter = "hunter2"
    layers = [
        file(f"login: {{token_key: {hunter}, users: {{a: [{hunter}]}}}}"),
        file(f"login: {{token_key: {{{hunter}: 1}}, users: {hunter}}}"),
        secrets_layer({"login__token_key": b"hunter2", "login__users": b"hunter2"}),
        secrets_layer({"login__users": b'{"a": ["hunter2"]}'}),
        environment_layer({"HTTPSERVER_LOGIN__TOKEN_KEY": hunter}),
        environment_layer({"HTTPSERVER_LOGIN__USERS": hunter}),
        flags_layer([Flag(option="--set", key="login.token_key", value=hunter)]),
    ]
    lines = [line for layer in layers for line in told(layer)]

    assert len(lines) >= len(layers)
    assert hunter not in "\n".join(lines)


# -- secrets folder --------------------------------------------------------------


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_secret_loses_one_line_end(end):
    """An editor's line end is not part of a secret, everything else is."""
    layer = secrets_layer({"login__token_key": f" {KEY} {end}".encode()})

    assert layer.values == {"login.token_key": SecretStr(f" {KEY} ")}
    assert layer.origins == {"login.token_key": "secrets:login__token_key"}


def test_secret_mapping_is_json():
    """Users come as one JSON object."""
    layer = secrets_layer({"login__users": b'{"alice": "hash"}\n'})

    assert layer.values == {"login.users": {"alice": SecretStr("hash")}}


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        pytest.param(
            "login__tokenkey",
            b"",
            "no such setting; did you mean login__token_key?",
            id="slip",
        ),
        pytest.param(
            "LOGIN__TOKEN_KEY",
            b"",
            "no such setting; did you mean login__token_key?",
            id="capitals",
        ),
        pytest.param("readme.txt", b"", "no such setting", id="another file"),
        pytest.param(
            "login__token_key",
            b"\xff" * 40,
            "login.token_key: is not UTF-8",
            id="bytes",
        ),
        pytest.param(
            "login__users",
            b"alice",
            "login.users: must be JSON: Expecting value at 1",
            id="no JSON",
        ),
    ],
)
def test_problem_in_the_secrets_folder_tells_the_file(name, content, problem):
    """What is wrong in the secrets folder names the file."""
    assert told(secrets_layer({name: content})) == [f"secrets:{name}: {problem}"]


# -- environment -----------------------------------------------------------------


def test_environment_gives_values_of_every_type():
    """Text, numbers and truth values are as written, lists and mappings JSON."""
    layer = environment_layer(
        {
            "HTTPSERVER_SERVER__NAME": "",
            "HTTPSERVER_SERVER__PORTS": "[1, 2]",
            "HTTPSERVER_SERVER__DRAIN_DELAY": "1.5",
            "HTTPSERVER_SERVER__ADMIN__ENABLED": "false",
            "HTTPSERVER_LOG__LOGGERS": '{"a": "debug"}',
            "HTTPSERVER_LOGIN__TOKEN_KEY": KEY,
            "PATH": "/bin",
        }
    )

    assert layer.problems == []
    assert layer.values == {
        "log.loggers": {"a": "debug"},
        "login.token_key": SecretStr(KEY),
        "server.admin.enabled": False,
        "server.drain_delay": 1.5,
        "server.name": "",
        "server.ports": [1, 2],
    }
    assert layer.origins["server.name"] == "env:HTTPSERVER_SERVER__NAME"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPSERVER_CONFIG", "/x.yaml"),
        ("HTTPSERVER_SECRETS_DIR", "/x"),
        ("HTTPSERVER_SERVICE_HOST", "10.0.0.1"),
        ("HTTPSERVER_SERVICE_PORT", "80"),
        ("HTTPSERVER_SERVICE_PORT_HTTP", "80"),
        ("HTTPSERVER_PORT", "tcp://10.0.0.1:80"),
        ("HTTPSERVER_PORT_8080_TCP", "tcp://10.0.0.1:80"),
        ("HTTPSERVER_PORT_8080_TCP_PROTO", "tcp"),
        ("HTTPSERVER_PORT_8080_TCP_PORT", "8080"),
        ("HTTPSERVER_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("HTTPSERVER_ADMIN_SERVICE_HOST", "10.0.0.1"),
        ("HTTPSERVER_ADMIN_PORT", "tcp://10.0.0.1:9090"),
        ("HTTPSERVER_ADMIN_PORT_9090_TCP_ADDR", "10.0.0.1"),
        ("_HTTPSERVER_X", ""),
        ("OTHER__THING", ""),
    ],
)
def test_variable_that_is_no_setting_of_ours_is_passed_over(name, value):
    """What Kubernetes sets for a Service, and what is not ours, sets nothing."""
    assert environment_layer({name: value}) == Layer()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        pytest.param(
            "HTTPSERVER_LOG__LEVL",
            "x",
            "no such setting; did you mean HTTPSERVER_LOG__LEVEL?",
            id="slip",
        ),
        pytest.param(
            "HTTPSERVER_LOG_LEVEL",
            "x",
            "no such setting; did you mean HTTPSERVER_LOG__LEVEL?",
            id="one underscore",
        ),
        pytest.param(
            "HTTPSERVER_log__level",
            "x",
            "no such setting; did you mean HTTPSERVER_LOG__LEVEL?",
            id="small letters",
        ),
        pytest.param("HTTPSERVER_X__Y", "", "no such setting", id="like nothing"),
        pytest.param("HTTPSERVER_", "", "no such setting", id="prefix alone"),
        pytest.param(
            "HTTPSERVER_PORT",
            "8080",
            "no such setting; did you mean HTTPSERVER_SERVER__PORTS or "
            "HTTPSERVER_SERVER__TLS__PORTS or HTTPSERVER_SERVER__ADMIN__PORT?",
            id="port that no kubelet wrote",
        ),
        pytest.param("HTTPSERVER_CONFIG", "", "is empty", id="no file"),
        pytest.param("HTTPSERVER_SECRETS_DIR", "", "is empty", id="no folder"),
        pytest.param(
            "HTTPSERVER_SERVER__WORKERS",
            "",
            "server.workers: is empty; leave it out to keep the default",
            id="empty number",
        ),
        pytest.param(
            "HTTPSERVER_SERVER__PORTS",
            " ",
            "server.ports: is empty; leave it out to keep the default",
            id="empty list",
        ),
        pytest.param(
            "HTTPSERVER_LOG__ACCESS",
            "maybe",
            "log.access: must be a valid boolean, unable to interpret input",
            id="truth value",
        ),
        pytest.param(
            "HTTPSERVER_DEMO__DELAY_MAX",
            "nan",
            "demo.delay_max: must be a finite number",
            id="not a number",
        ),
        pytest.param(
            "HTTPSERVER_SERVER__PORTS",
            "8080",
            "server.ports: must be a valid list",
            id="number for a list",
        ),
        pytest.param(
            "HTTPSERVER_SERVER__PORTS",
            '["8080"]',
            "server.ports[0]: must be a valid integer",
            id="text in a list",
        ),
        pytest.param(
            "HTTPSERVER_SERVER__PORTS",
            "[NaN]",
            "server.ports: must be JSON: NaN and Infinity are not allowed",
            id="NaN in JSON",
        ),
        pytest.param(
            "HTTPSERVER_LOG__LOGGERS",
            '{"a": "info", "a": "debug"}',
            "log.loggers: must be JSON: a key stands twice in a mapping",
            id="repeated key",
        ),
        pytest.param(
            "HTTPSERVER_SERVER__PORTS",
            "[" * 100_000,
            "server.ports: must be JSON of a sane size",
            id="deep",
        ),
        pytest.param(
            "HTTPSERVER_SERVER__PORTS",
            "1" * 5000,
            "server.ports: must be JSON of a sane size",
            id="long number",
        ),
    ],
)
def test_problem_in_the_environment_names_the_variable(name, value, problem):
    """What is wrong in the environment names variable, key and reason."""
    assert told(environment_layer({name: value})) == [f"env:{name}: {problem}"]


# -- flags -----------------------------------------------------------------------


def test_later_flag_counts():
    """Of two flags for one setting the later is in force, with its name as origin."""
    layer = flags_layer(
        [
            Flag(option="--set", key="server.ports", value="[1]"),
            Flag(option="--port", key="server.ports", value=[2]),
        ]
    )

    assert layer.values == {"server.ports": [2]}
    assert layer.origins == {"server.ports": "flag:--port"}


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("log.levl", "no such setting; did you mean log.level?"),
        ("log", "is a section, not a setting"),
        ("log.loggers.uvicorn", "no such setting; log.loggers is set whole"),
    ],
)
def test_flag_that_is_no_setting_is_refused(key, problem):
    """An unknown key on the command line tells what is there."""
    layer = flags_layer([Flag(option="--set", key=key, value="debug")])

    assert told(layer) == [f"flag:--set: {key}: {problem}"]
