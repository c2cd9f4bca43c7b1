"""What requests ask of the settings follows each reload."""

import pytest

from service.config import SettingsStore
from service.request_settings import RequestSettings
from service.server.limits import Limits
from service.settings import Settings
from tests.support.settings_files import only


def test_settings_are_those_of_the_store():
    """Each attribute has the value of its setting."""
    settings = Settings()

    asked = RequestSettings(SettingsStore.of(settings))

    assert asked.body_limit == settings.server.max_body_bytes
    assert list(asked.hosts) == list(settings.server.hosts)
    assert asked.request_timeout == settings.server.request_timeout
    assert asked.logged == settings.log.access
    assert asked.probes_logged == settings.log.probes
    assert asked.limits == Limits()


@pytest.mark.parametrize(
    ("text", "attribute", "value"),
    [
        ("server: {max_body_bytes: 7}", "body_limit", 7),
        ("server: {hosts: [a.example]}", "hosts", ["a.example"]),
        ("server: {request_timeout: 3}", "request_timeout", 3.0),
        ("log: {access: false}", "logged", False),
        ("log: {probes: true}", "probes_logged", True),
        ("server: {max_headers: 9}", "limits", Limits(max_headers=9)),
    ],
    ids=["body_limit", "hosts", "request_timeout", "logged", "probes_logged", "limits"],
)
def test_reloaded_setting_takes_effect(tmp_path, text, attribute, value):
    """The next request sees what the last reload has found."""
    path = tmp_path / "config.yaml"
    path.write_text("{}")
    store = SettingsStore(only(config=path))
    asked = RequestSettings(store)

    path.write_text(text)
    store.reload()
    found = getattr(asked, attribute)

    assert value == (list(found) if attribute == "hosts" else found)
