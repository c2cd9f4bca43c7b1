"""Layers become settings with origins, or all their problems."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.config import load
from service.config.leaves import leaves
from service.config.loading import disagreements, value_at
from service.errors import SettingsError
from service.settings import LogSettings, Settings
from tests.support.settings_files import KubernetesMount, only

KEY = "k" * 32


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def problems(**sources) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(only(**sources))
    return caught.value.problems


def test_without_sources_every_setting_is_a_default():
    """Nothing given is the defaults, each with that origin."""
    loaded = load(only())

    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {"default"}
    assert list(loaded.origins) == list(leaves())


def test_each_source_wins_over_the_one_before(tmp_path, file):
    """Defaults < file < secrets folder < environment < flags, setting by setting."""
    keys = ["demo.delay_limit", "demo.delay_max", "probes.cache_ttl", "server.backlog"]
    file.write_text(
        "demo:\n  delay_limit: 1\n  delay_max: 1\nprobes:\n  cache_ttl: 1\n"
        "server:\n  backlog: 1"
    )
    secrets = tmp_path / "secrets"
    KubernetesMount(
        secrets, demo__delay_max="2", probes__cache_ttl="2", server__backlog="2"
    )
    loaded = load(
        only(
            config=file,
            secrets=secrets,
            environ={
                "HTTPSERVER_PROBES__CACHE_TTL": "3",
                "HTTPSERVER_SERVER__BACKLOG": "3",
            },
            flags={"server.backlog": "4"},
        )
    )

    assert [value_at(loaded.settings, key) for key in keys] == [1, 2, 3, 4]
    assert [loaded.origins[key] for key in keys] == [
        f"{file}:2",
        "secrets:demo__delay_max",
        "env:HTTPSERVER_PROBES__CACHE_TTL",
        "flag:--set",
    ]


def test_mapping_of_a_higher_source_replaces_the_lower_one(file):
    """A mapping is one setting: sources do not mix in it."""
    file.write_text("log: {loggers: {a: debug, b: info}}")
    environ = {"HTTPSERVER_LOG__LOGGERS": '{"b": "error"}'}
    loaded = load(only(config=file, environ=environ))

    assert loaded.settings.log.loggers == {"b": "error"}


def test_problems_of_all_sources_are_told_at_once(tmp_path, file):
    """Every source is read to its end, also where a higher one hides it."""
    file.write_text("log: {level: x}")
    secrets = tmp_path / "secrets"
    KubernetesMount(secrets, nope="", log__level="y")
    told = problems(
        config=file,
        secrets=secrets,
        environ={"HTTPSERVER_NOPE": "", "HTTPSERVER_LOG__LEVEL": "z"},
        flags={"nope": "", "log.level": "info"},
    )

    assert [line.rpartition(": ")[0] for line in told] == [
        f"{file}:1: log.level",
        "secrets:log__level: log.level",
        "secrets:nope",
        "env:HTTPSERVER_LOG__LEVEL: log.level",
        "env:HTTPSERVER_NOPE",
        "flag:--set: nope",
    ]


def test_values_that_disagree_are_told_with_all_their_places(file):
    """A bound between settings names each of them, its value and where it stands."""
    file.write_text("server:\n  drain_delay: 25\n")
    told = problems(config=file, flags={"server.grace_period": "40"})

    assert "\n".join(told) == (
        f"{file}:2, flag:--set: server: server.hard_limit must be at least "
        "server.drain_delay + server.grace_period (server.hard_limit is 30.0, "
        "server.drain_delay is 25.0, server.grace_period is 40.0)"
    )


def test_disagreement_that_another_problem_explains_is_not_told(file):
    """A bound that fails because a value could not be read is no further problem."""
    file.write_text("server: {drain_delay: 25, hard_limit: x}")

    assert len(problems(config=file)) == 1


def test_disagreement_is_not_told_when_a_source_is_unread(file):
    """What an unread file holds may be what the others need."""
    file.write_text("server: [")

    assert len(problems(config=file, flags={"server.drain_delay": "25"})) == 1


def test_disagreement_in_one_section_and_problem_in_another_are_both_told(file):
    """A problem explains a disagreement in its own section alone."""
    file.write_text("demo: {delay_min: 3}\nlog: {level: x}")

    assert len(problems(config=file)) == 2


@pytest.mark.parametrize("name", ["config.yaml", "config.toml"])
def test_file_that_is_named_and_missing_is_a_problem(tmp_path, name):
    """A named file must be there."""
    path = tmp_path / name

    assert problems(config=path) == [
        f"{path}: can't be read: No such file or directory"
    ]
    assert problems(environ={"HTTPSERVER_CONFIG": str(path)})


def test_folder_that_is_named_and_missing_is_a_problem(tmp_path):
    """A named folder must be there."""
    path = tmp_path / "secrets"

    assert problems(secrets=path) == [
        f"{path}: can't be read: No such file or directory"
    ]
    assert problems(environ={"HTTPSERVER_SECRETS_DIR": str(path)})


def test_default_file_and_folder_are_read_if_there(tmp_path):
    """The default places may be missing, and count when they are there."""
    places = {
        "default_config": tmp_path / "config.yaml",
        "default_secrets": tmp_path / "secrets",
    }
    before = load(only(**places))
    places["default_config"].write_text("log: {level: debug}")
    KubernetesMount(places["default_secrets"], login__token_key=KEY)
    after = load(only(**places))

    assert before.settings == Settings()
    assert after.settings.log == LogSettings(level="debug")
    assert after.origins["login.token_key"] == "secrets:login__token_key"


def test_flag_names_the_file_before_the_environment(tmp_path):
    """`--config` wins over HTTPSERVER_CONFIG, which wins over the default."""
    paths = [tmp_path / f"{n}.yaml" for n in range(3)]
    for number, path in enumerate(paths):
        path.write_text(f"server: {{name: n{number}}}")
    environ = {"HTTPSERVER_CONFIG": str(paths[1])}
    names = [
        load(only(config=config, environ=env, default_config=paths[2]))
        for config, env in [(paths[0], environ), (None, environ), (None, {})]
    ]

    assert [loaded.settings.server.name for loaded in names] == ["n0", "n1", "n2"]


def test_file_of_more_than_a_mebibyte_is_refused(file):
    """A large file is not parsed."""
    file.write_bytes(b"#" * (1 << 20) + b"\n")

    assert problems(config=file) == [f"{file}: is larger than 1 MiB"]


def test_what_is_no_file_is_refused(tmp_path):
    """A folder in place of a file is told, a pipe is not waited for."""
    folder = tmp_path / "config.yaml"
    folder.mkdir()
    secrets = tmp_path / "secrets"
    (secrets / "login__users").mkdir(parents=True)

    assert problems(config=folder, secrets=secrets) == [
        f"{folder}: is not a file",
        "secrets:login__users: is not a file",
    ]


def test_secret_that_cannot_be_read_is_a_problem(tmp_path):
    """A link to nowhere, as any other failure, names the secret's file."""
    (tmp_path / "login__users").symlink_to(tmp_path / "nowhere")

    assert problems(secrets=tmp_path) == [
        "secrets:login__users: can't be read: No such file or directory"
    ]


def test_what_is_read_does_not_show_itself(tmp_path):
    """A trace or debugger that prints sources and snapshot prints no secret."""
    (tmp_path / "login__token_key").write_text(KEY)
    sources = only(secrets=tmp_path, environ={"X": KEY}, flags={"login.token_key": KEY})

    assert KEY not in f"{sources!r} {sources.read()!r}"


def test_disagreement_that_names_one_setting_stands_where_it_does():
    """What a field's own check says is told at the origin of its value."""
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"log": {"level": "x"}})
    found = disagreements(
        caught.value, values={"log.level": "x"}, origins={"log.level": "/x.yaml:2"}
    )

    assert [(problem.place, problem.key) for problem in found] == [
        ("/x.yaml:2", "log.level")
    ]


def test_thousands_of_problems_are_cut(file):
    """A file of another kind does not flood the terminal."""
    file.write_text("\n".join(f"key{number}: 1" for number in range(1000)))
    told = problems(config=file)

    assert len(told) == 101
    assert told[-1] == "… and 900 more problems"


@pytest.mark.parametrize(
    "name", ["tracing.otlp.endpoint", "metrics.push.otlp.endpoint", "sms.url"]
)
@pytest.mark.parametrize(
    "url",
    [
        "http://ann:open-sesame@host:4317",
        "http://open-sesame@host",
        "http://host/a@open-sesame",
        "http://:4317/open-sesame",
        "http://host:open-sesame",
        "http://[::1:4317/open-sesame",
        "http://host#open-sesame",
    ],
)
def test_url_with_credentials_or_without_a_host_is_refused(name, url):
    """URLs are shown where settings are; what is refused is not repeated."""
    [problem] = problems(flags={name: url})

    assert name in problem
    assert "open-sesame" not in problem


@pytest.mark.parametrize(
    "url",
    ["http://host", "https://a.b:1/c?d=e", "http://[::1]:4317", "http://1.2.3.4/"],
)
def test_url_of_a_collector_is_taken(url):
    """Names and addresses of both kinds, with port and path or without."""
    loaded = load(only(flags={"tracing.otlp.endpoint": url}))

    assert loaded.settings.tracing.otlp.endpoint == url


@pytest.mark.parametrize(
    "headers",
    [
        '{"a b": "open-sesame"}',
        '{"a": "open-sesame\\nb"}',
        '{"a": "open-sesame\u00e9"}',
    ],
    ids=["name", "line", "letter"],
)
def test_header_that_cannot_be_sent_is_refused_without_its_value(headers):
    """Who sends it would tell all of it in the error."""
    [problem] = problems(flags={"tracing.otlp.headers": headers})

    assert "tracing.otlp.headers" in problem
    assert "open-sesame" not in problem
