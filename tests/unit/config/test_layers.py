"""Settings file and flags give values with origins, or problems with places."""

from pathlib import Path

import pytest

from service.config.environment import environment_layer
from service.config.layers import (
    Flag,
    Layer,
    file_layer,
    flags_layer,
    secrets_layer,
)
from tests.support.settings_files import told

PATH = Path("/etc/httpserver/config.yaml")


def file(text: str, *, path: Path = PATH) -> Layer:
    return file_layer(text.encode(), path=path)


# -- settings file -------------------------------------------------------------


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


# -- flags ---------------------------------------------------------------------


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
