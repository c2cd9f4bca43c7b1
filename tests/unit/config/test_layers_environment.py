"""Secrets folder and environment give values with origins, or problems with places."""

import pytest
from pydantic import SecretStr

from service.config.environment import environment_layer
from service.config.layers import (
    Layer,
    secrets_layer,
)
from tests.support.settings_files import told

KEY = "k" * 32


# -- secrets folder ------------------------------------------------------------


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


# -- environment ---------------------------------------------------------------


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
