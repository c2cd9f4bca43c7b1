"""Reloads change what is live, name what is not, and survive what is broken."""

import threading
from pathlib import Path

import pytest
import structlog
from pydantic import SecretStr

from service.config import SettingsStore
from service.errors import SettingsError
from service.settings import DemoSettings, LogSettings, Settings
from tests.support.settings_files import only


class Counted:
    """Reload metrics that remember."""

    def __init__(self) -> None:
        self.results: list[str] = []

    def reloaded(self, result: str) -> None:
        self.results.append(result)


@pytest.fixture
def log():
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("log: {level: info}")
    return path


@pytest.fixture
def metrics() -> Counted:
    return Counted()


@pytest.fixture
def store(file, metrics, log) -> SettingsStore:
    return SettingsStore(only(config=file), metrics=metrics)


def events(log) -> list[str]:
    return [line["event"] for line in log]


def test_wrong_settings_at_the_start_are_raised(file):
    """There is no store without settings that can be used."""
    file.write_text("log: {level: x}")
    with pytest.raises(SettingsError):
        SettingsStore(only(config=file))


def test_live_setting_takes_effect(store, file, metrics, log):
    """A changed live setting is in force, told to subscribers, logged and counted."""
    told = []
    store.subscribe(lambda old, new: told.append((old.log.level, new.log.level)))
    file.write_text("\nlog: {level: debug}")

    assert store.reload()
    assert store.current.log.level == "debug"
    assert store.origins["log.level"] == f"{file}:2"
    assert told == [("info", "debug")]
    assert metrics.results == ["changed"]
    assert log == [
        {
            "event": "settings_reloaded",
            "log_level": "info",
            "changed": ["log.level"],
            "values": {"log.level": "debug"},
        }
    ]


def test_setting_that_needs_a_restart_keeps_its_value(store, file, metrics, log):
    """What is not live keeps value and origin, and is named in the log."""
    file.write_text("server:\n  ports: [1]\n  admin: {port: 2}")

    assert not store.reload()
    assert store.current.server.ports == [8080]
    assert store.origins["server.ports"] == "default"
    assert store.need_restart == ("server.ports", "server.admin.port")
    assert metrics.results == ["unchanged"]
    assert {
        "event": "settings_need_restart",
        "log_level": "warning",
        "settings": ["server.ports", "server.admin.port"],
    } in log


def test_live_setting_takes_effect_beside_one_that_needs_a_restart(store, file):
    """One file may change both kinds."""
    file.write_text("server: {workers: 2, max_body_bytes: 5}")

    assert store.reload()
    assert store.current.server.max_body_bytes == 5
    assert store.current.server.workers == 1


def test_restart_is_asked_for_once(store, file, log):
    """The same waiting value is named once, another one again, the old one not."""
    for text in ["server: {workers: 2}", "server: {workers: 2}\nlog: {access: false}"]:
        file.write_text(text)
        store.reload()
    once = events(log).count("settings_need_restart")
    file.write_text("server: {workers: 3}")
    store.reload()
    twice = events(log).count("settings_need_restart")
    file.write_text("")
    store.reload()

    assert (once, twice) == (1, 2)
    assert events(log).count("settings_need_restart") == 2
    assert store.need_restart == ()


@pytest.mark.parametrize("text", ["log: {level: x}", "log: [", "demo: {delay_min: 9}"])
def test_broken_source_keeps_the_old_settings(store, file, metrics, log, text):
    """Bad values, bad syntax and disagreement change nothing but log and metric."""
    before = store.current
    file.write_text(text)

    assert not store.reload()
    assert store.current is before
    assert metrics.results == ["failed"]
    assert [(line["event"], line["log_level"]) for line in log] == [
        ("settings_reload_failed", "error")
    ]
    assert str(file) in log[0]["problems"][0]


def test_missing_file_keeps_the_old_settings(store, file, metrics):
    """A file that goes does not turn its settings back to the defaults."""
    file.write_text("log: {level: debug}")
    store.reload()
    file.unlink()
    store.reload()

    assert store.current.log.level == "debug"
    assert metrics.results == ["changed", "failed"]


def test_default_file_that_was_there_is_missed(tmp_path, metrics):
    """The same holds for the file in the default place once it was read."""
    path = tmp_path / "config.yaml"
    path.write_text("log: {level: debug}")
    store = SettingsStore(only(default_config=path), metrics=metrics)
    path.unlink()
    store.reload()

    assert store.current.log.level == "debug"
    assert metrics.results == ["failed"]


def test_default_file_that_comes_later_is_read(tmp_path):
    """A file that appears in the default place takes effect."""
    path = tmp_path / "config.yaml"
    store = SettingsStore(only(default_config=path))
    path.write_text("log: {level: debug}")

    assert store.reload()
    assert store.current.log.level == "debug"


def test_same_settings_in_another_form_are_unchanged(store, file, metrics, log):
    """Nobody is called when no value differs, and the place is the new one."""
    store.subscribe(lambda *_: pytest.fail("called"))
    file.write_text("# comment\nlog:\n  level: info")

    assert not store.reload()
    assert metrics.results == ["unchanged"]
    assert events(log) == ["settings_unchanged"]
    assert store.origins["log.level"] == f"{file}:3"


def test_refresh_reads_nothing_twice(store, file, metrics):
    """`refresh` reloads when the content differs from the last look, good or bad."""
    results = []
    for text in ["log: {level: info}", "log: {level: x}", "log: {level: x}", "", ""]:
        file.write_text(text)
        store.refresh()
        results.append(len(metrics.results))

    assert results == [0, 1, 1, 2, 2]


def test_subscriber_that_raises_stops_nobody(store, file, log):
    """The others are called, and the failure is logged."""
    called = []

    def broken(old: Settings, new: Settings) -> None:
        raise RuntimeError("no")

    store.subscribe(broken)
    store.subscribe(lambda old, new: called.append(new))
    file.write_text("log: {level: debug}")

    assert store.reload()
    assert called == [store.current]
    failure = log[-1]
    assert failure["event"] == "settings_subscriber_failed"
    assert failure["subscriber"].endswith("broken")


def test_subscription_ends(store, file):
    """What `subscribe` returns ends it."""
    end = store.subscribe(lambda *_: pytest.fail("called"))
    end()
    file.write_text("log: {level: debug}")

    assert store.reload()


def test_changed_secret_is_named_and_never_shown(tmp_path, log):
    """A secret's key is in the log, its value nowhere."""
    (tmp_path / "login__token_key").write_text("a" * 32)
    store = SettingsStore(only(secrets=tmp_path))
    (tmp_path / "login__token_key").write_text("b" * 32)
    store.reload()

    assert store.current.login.token_key == SecretStr("b" * 32)
    assert log[0]["changed"] == ["login.token_key"]
    assert log[0]["values"] == {}
    assert "bbb" not in str(log)


def test_file_counts_under_the_environment_after_a_reload(file):
    """A reload keeps the order of the sources."""
    environ = {"HTTPSERVER_LOG__LEVEL": "error"}
    store = SettingsStore(only(config=file, environ=environ))
    file.write_text("log: {level: debug, access: false}")
    store.reload()

    assert store.current.log == LogSettings(level="error", access=False)


def test_live_value_that_disagrees_with_one_that_waits_is_refused(
    monkeypatch, store, file, metrics, log
):
    """What can't hold together until the restart changes nothing and says so."""
    # No section has such a pair today; a limit that needed a restart would make one.
    monkeypatch.setattr(
        DemoSettings.model_fields["delay_max"], "json_schema_extra", None
    )
    file.write_text("demo: {delay_min: 3, delay_max: 4}")

    assert not store.reload()
    assert store.current.demo == DemoSettings()
    assert metrics.results == ["failed"]
    assert log[0]["problems"][0].endswith("until a restart")


def test_fixed_settings_stay_on_reload():
    """A store of settings that come from nowhere has them before and after."""
    settings = Settings(log=LogSettings(level="error"))
    store = SettingsStore.of(settings)

    assert not store.reload()
    assert store.current == settings


def test_metrics_can_come_later(store, file):
    """Reloads are counted where the store was told to report to."""
    later = Counted()
    store.report_to(later)
    store.reload()

    assert later.results == ["unchanged"]


def test_readers_see_whole_trees_during_reloads(file, tmp_path):
    """Threads that read meanwhile see the old tree or the new one, never a mixture."""
    store = SettingsStore(only(config=file))
    texts = [f"demo: {{delay_min: {n}, delay_max: {n}}}" for n in (1, 2)]
    seen, done = set(), threading.Event()

    def read() -> None:
        while not done.is_set():
            demo = store.current.demo
            seen.add((demo.delay_min, demo.delay_max))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(40):
        new = tmp_path / "new"
        new.write_text(texts[number % 2])
        new.rename(file)
        store.reload()
    done.set()
    for reader in readers:
        reader.join()

    assert seen <= {(0, 2), (1, 1), (2, 2)}
    assert len(seen) > 1


def test_file_that_is_being_written_is_waited_for(store, file, metrics):
    """An empty file that fills within the settling time never means the defaults."""
    told = []
    store.subscribe(lambda old, new: told.append(new.log.level))
    file.write_text("")
    writer = threading.Timer(0.05, file.write_text, ["log: {level: debug}"])
    writer.start()
    store.refresh(settle=0.5)
    writer.join()

    assert told == ["debug"]
    assert metrics.results == ["changed"]


def test_reload_while_a_refresh_waits_is_not_undone(store, file):
    """The newer content stays in force, whoever read it."""

    class Preempted:
        """Someone else writes and reloads just before the lock is taken."""

        def __init__(self, lock):
            self.lock = lock

        def __enter__(self):
            store._lock = self.lock
            file.write_text("log: {level: error}")
            assert store.reload()
            self.lock.acquire()

        def __exit__(self, *_):
            self.lock.release()

    store._lock = Preempted(store._lock)
    file.write_text("log: {level: debug}")
    store.refresh(settle=0.001)

    assert store.current.log.level == "error"


def test_file_that_never_settles_is_taken_in_the_end(store, file, metrics):
    """Endless writing puts a reload off, not away."""
    begun, done = threading.Event(), threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            number += 1
            file.write_text(f"log: {{level: debug}} # {number}")
            begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    begun.wait()
    store.refresh(settle=0.001)
    done.set()
    writer.join()

    assert len(metrics.results) == 1
