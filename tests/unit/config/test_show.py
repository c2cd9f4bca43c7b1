"""Every setting is shown with value and origin, and no secret."""

import json

import pytest
import yaml

from service.config import load
from service.config.leaves import leaves
from service.config.show import Row, as_json, as_table, as_yaml, rows
from service.settings import Settings
from tests.support.settings_files import only

SECRET = "hunter2" * 8


@pytest.fixture
def shown() -> list[Row]:
    loaded = load(
        only(
            flags={
                "login.token_key": SECRET,
                "login.users": json.dumps({"alice": SECRET}),
                "server.name": "[bold]näme[/]\n",
            }
        )
    )
    return rows(loaded.settings, origins=loaded.origins)


@pytest.mark.parametrize("form", [as_json, as_yaml, as_table])
def test_secrets_are_masked_in_every_form(shown, form):
    """Names are shown, values of secrets never."""
    text = form(shown)

    assert SECRET not in text
    assert "alice" in text
    assert "**********" in text


def test_json_has_value_origin_and_liveness_of_every_leaf(shown):
    """The JSON form is an object by dotted key in the tree's order."""
    tree = json.loads(as_json(shown))

    assert list(tree) == list(leaves())
    assert tree["log.level"] == {"value": "info", "origin": "default", "live": True}
    assert tree["server.name"] == {
        "value": "[bold]näme[/]\n",
        "origin": "flag:--set",
        "live": False,
    }


def test_yaml_is_a_settings_file():
    """The YAML form is the tree, and origins are comments."""
    loaded = load(only())
    text = as_yaml(rows(loaded.settings, origins=loaded.origins))

    assert Settings.model_validate(yaml.safe_load(text)) == Settings()
    assert '  level: "info"  # default' in text.splitlines()


def test_table_without_a_terminal_has_one_plain_line_for_each_setting(shown):
    """Nothing is cut, folded, coloured or taken for markup."""
    lines = as_table(shown).splitlines()
    by_key = {line.split()[0]: line for line in lines[1:]}

    assert len(lines) == len(leaves()) + 1
    assert '"[bold]näme[/]\\n"' in by_key["server.name"]
    assert "2.5, 5.0, 10.0]" in by_key["metrics.buckets"]
    assert "\x1b" not in "".join(lines)


def test_table_on_a_terminal_folds_and_keeps_every_character(shown):
    """A long value goes on in the next line of its column."""
    lines = as_table(shown, width=70).splitlines()
    text = "".join("".join(lines).split())

    assert max(len(line) for line in lines) <= 70
    assert all(str(bound) in text for bound in Settings().metrics.buckets)
