"""However sources are filled, the highest that has a setting gives value and origin."""

import json
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import yaml
from hypothesis import given, settings

from service.config import load
from service.config.leaves import Leaf, leaves
from service.config.loading import value_at
from service.config.sources import Snapshot
from tests.support.settings_files import only

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "server.name": st.text("abc=: #", max_size=8),
    "server.ports": st.lists(st.integers(0, 65535), min_size=1, max_size=3),
    "server.admin.port": st.integers(0, 65535),
    "server.admin.enabled": st.booleans(),
    "server.idle_timeout": st.floats(0, 86_400),
    "log.level": st.sampled_from(["debug", "info", "error"]),
    "log.loggers": st.dictionaries(st.text("ab.", max_size=3), st.just("debug")),
    "login.users": st.dictionaries(st.text("ab", max_size=3), st.text("xyz")),
    "login.token_key": st.text("kK ", min_size=32, max_size=40),
}
"""Good values of settings of every type, in no bound with each other."""

PATH = Path("/etc/httpserver/config.yaml")
LAYER = st.fixed_dictionaries({}, optional=VALUES)


def text_of(leaf: Leaf, value: Any) -> str:
    """The value as a source that holds text has it."""
    return value if leaf.textual or isinstance(value, str) else json.dumps(value)


def tree_of(layer: dict[str, Any]) -> dict[str, Any]:
    """The value as a settings file has them, nested."""
    tree: dict[str, Any] = {}
    for key, value in layer.items():
        *parents, name = leaves()[key].path
        section = tree
        for parent in parents:
            section = section.setdefault(parent, {})
        section[name] = value
    return tree


def plain(value: Any) -> Any:
    """The value with its secrets told."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


@settings(deadline=None)
@given(file=LAYER, secrets=LAYER, environ=LAYER, flags=LAYER)
def test_highest_source_that_has_a_setting_wins(file, secrets, environ, flags):
    """Each leaf has value and origin of the highest source, else the default."""
    texts = [
        {key: text_of(leaves()[key], layer[key]) for key in layer}
        for layer in (secrets, environ, flags)
    ]
    snapshot = Snapshot(
        config=yaml.safe_dump(tree_of(file), sort_keys=False).encode(),
        secrets={leaves()[k].file_name: f"{v}\n".encode() for k, v in texts[0].items()},
        problems=(),
    )
    sources = only(
        environ={leaves()[k].variable: v for k, v in texts[1].items()},
        flags=texts[2],
        config=PATH,
    )
    loaded = load(sources, snapshot=snapshot)

    for key, leaf in leaves().items():
        places = {
            "flag:--set": flags,
            f"env:{leaf.variable}": environ,
            f"secrets:{leaf.file_name}": secrets,
            f"{PATH}:": file,
        }
        origin, layer = next(
            ((place, layer) for place, layer in places.items() if key in layer),
            ("default", {key: plain(value_at(only().base, key))}),
        )

        assert loaded.origins[key].startswith(origin)
        assert plain(value_at(loaded.settings, key)) == layer[key]
