"""Schema, example and documentation are those of the settings tree."""

import jsonschema
import pytest
import yaml

from service.config import load
from service.config.leaves import leaves
from service.config.reference import json_schema
from service.settings import Settings
from tests.support.settings_files import only
from tools import settings_docs

EXAMPLE = settings_docs.DOCS / "examples" / "config.yaml"


def test_schema_is_valid_and_takes_the_example():
    """The schema is JSON Schema 2020-12, and a file of all defaults fits it."""
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)

    assert schema["$schema"].endswith("2020-12/schema")
    jsonschema.validate(yaml.safe_load(EXAMPLE.read_text()), schema)


@pytest.mark.parametrize(
    "wrong", [{"x": 1}, {"log": {"x": 1}}, {"server": {"admin": {"x": 1}}}]
)
def test_schema_refuses_unknown_keys_at_every_depth(wrong):
    """`additionalProperties` is false in every section."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, json_schema())


def test_schema_marks_what_is_live():
    """A live setting carries `live: true`, another none."""
    log = json_schema()["$defs"]["LogSettings"]["properties"]

    assert log["level"]["live"] is True
    assert "live" not in log["format"]


def test_example_holds_every_setting_at_its_default():
    """The example loads, sets every leaf and equals the defaults."""
    loaded = load(only(config=EXAMPLE))

    assert loaded.settings == Settings()
    assert all(origin.startswith(str(EXAMPLE)) for origin in loaded.origins.values())


@pytest.fixture(scope="module")
def rendered():
    """What the documentation is written from; it takes a while."""
    return settings_docs.render()


def test_documentation_is_up_to_date(rendered):
    """`python -m tools.settings_docs` would change nothing."""
    for path, text in rendered.items():
        assert path.read_text() == text, f"{path.name} is old"


def test_documentation_names_every_setting():
    """The page has a line for each leaf."""
    page = (settings_docs.DOCS / "settings.md").read_text()

    assert [key for key in leaves() if f"| `{key}` |" not in page] == []


def test_documentation_script_writes_what_is_old(
    rendered, tmp_path, monkeypatch, capsys
):
    """It tells an old file by its exit code, writes it, and is then content."""
    (tmp_path / "examples").mkdir()
    page = (settings_docs.DOCS / "settings.md").read_text()
    (tmp_path / "settings.md").write_text(page.replace("`log.level`", "`log.old`"))
    here = {
        tmp_path / k.relative_to(settings_docs.DOCS): v for k, v in rendered.items()
    }
    monkeypatch.setattr(settings_docs, "render", lambda: here)
    codes = [settings_docs.main(["--check"]), settings_docs.main([])]
    codes.append(settings_docs.main(["--check"]))

    assert codes == [1, 0, 0]
    assert "old: settings.md" in capsys.readouterr().out
    assert (tmp_path / "settings.md").read_text() == page
