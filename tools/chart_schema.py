"""
Keep the Helm chart in step with `service/settings/`.

The chart's `config:` is the settings file itself, so its names, order, defaults, bounds
and reload behaviour must be those of `Settings`. Run this after a change there:

    python -m tools.chart_schema            # rewrites the three files
    python -m tools.chart_schema --check    # exit 1 when one of them is old

It writes the part between the markers in `values.yaml`, the `config` property of
`values.schema.json`, and `files/live-settings.json`: the paths that need no rollout.
Secret settings are left out, because a ConfigMap must not hold them: the chart's
`secret:` does.
"""

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from service.settings import Settings, is_live
from tools.written import keep

__all__ = [
    "CHART",
    "config_schema",
    "config_values",
    "live_paths",
    "main",
    "render",
    "secret_paths",
]

CHART = Path(__file__).resolve().parent.parent / "helm" / "httpserver"
"""Folder of the chart."""

BEGIN = "# >>> config: written by tools/chart_schema.py from service/settings/\n"
END = "# <<< config\n"
_WIDTH = 96
_NOISE = ("title", "default", "live")


def _fields(
    model: type[BaseModel], *, prefix: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], type[BaseModel], str]]:
    """Every leaf of the tree: its path, the model that owns it, its name there."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _fields(kind, prefix=(*prefix, name))
        else:
            yield (*prefix, name), model, name


def _is_secret(model: type[BaseModel], name: str) -> bool:
    return "SecretStr" in str(model.model_fields[name].annotation)


def live_paths() -> list[str]:
    """
    Return the settings that take effect on reload, so that no pod has to be replaced.

    Returns: Dotted paths such as `log.level`, in the order of the tree; no secrets.
    """
    return [
        ".".join(path)
        for path, model, name in _fields(Settings)
        if is_live(model, name) and not _is_secret(model, name)
    ]


def secret_paths() -> list[str]:
    """
    Return the settings that belong in the Secret.

    Returns: Dotted paths such as `login.token_key`, in the order of the tree.
    """
    return [
        ".".join(path)
        for path, model, name in _fields(Settings)
        if _is_secret(model, name)
    ]


def _inline(node: Any, definitions: dict[str, Any]) -> Any:
    """Follow references and drop what repeats `values.yaml`."""
    if isinstance(node, list):
        return [_inline(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inline(definitions[node["$ref"].rpartition("/")[2]], definitions)
    plain = {
        key: {name: _inline(part, definitions) for name, part in value.items()}
        if key == "properties"
        else _inline(value, definitions)
        for key, value in node.items()
        if key not in _NOISE
    }
    if plain.get("minimum") == 0 and plain.get("maximum") == 65_535:  # noqa: PLR2004 - a port
        plain["minimum"] = 1  # port 0, any free one, is nothing a Service could name
    return plain


def config_schema() -> dict[str, Any]:
    """
    Return the JSON Schema of the chart's `config`.

    Returns: The schema of `Settings` without references, secrets and port 0.
    """
    raw = Settings.model_json_schema()
    schema: dict[str, Any] = _inline(raw, raw["$defs"])
    schema["description"] = "The settings file of the service, as it is."
    for path in secret_paths():
        *sections, name = path.split(".")
        owner = schema
        for section in sections:
            owner = owner["properties"][section]
        del owner["properties"][name]
    return schema


def _comment(text: str, indent: str, *, mark: str = "-- ") -> list[str]:
    lines = textwrap.wrap(mark + " ".join(text.split()), _WIDTH - len(indent) - 2)
    return [f"{indent}# {line}" for line in lines]


def _scalar(value: Any, indent: str) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000)
    text = text.removesuffix("\n").removesuffix("\n...")
    if not isinstance(value, list) or len(text) + len(indent) <= _WIDTH:
        return text
    items = textwrap.wrap(text[1:-1], _WIDTH - len(indent) - 2)
    return "\n".join(
        [
            "",
            indent + text[0],
            *(f"{indent}  {line}" for line in items),
            indent + text[-1],
        ]
    )


def _section(model: type[BaseModel], defaults: BaseModel, indent: str) -> list[str]:
    lines: list[str] = []
    for name, field in model.model_fields.items():
        if _is_secret(model, name):
            continue
        value = getattr(defaults, name)
        if isinstance(value, BaseModel):
            lines += _comment(type(value).__doc__ or "", indent, mark="")
            lines.append(f"{indent}{name}:")
            lines += _section(type(value), value, indent + "  ")
            continue
        live = " (live)" if is_live(model, name) else ""
        text = (field.description or name).removesuffix(".")
        lines += _comment(text + live, indent)
        shown = _scalar(value, indent + "  ")
        lines.append(f"{indent}{name}: {shown}".replace(": \n", ":\n"))
    return lines


def config_values() -> str:
    """Return the `config:` part of `values.yaml`, each value with its sentence."""
    return "\n".join(["config:", *_section(Settings, Settings(), "  ")]) + "\n"


def render(chart: Path = CHART) -> dict[Path, str]:
    """
    Return what the three files should hold.

    Args:
        chart: Folder of the chart; `values.yaml` and the schema there keep what is not
            about settings.
    """
    values_file, schema_file = chart / "values.yaml", chart / "values.schema.json"
    head, _, rest = values_file.read_text().partition(BEGIN)
    tail = rest.partition(END)[2]
    schema = json.loads(schema_file.read_text())
    schema["properties"]["config"] = config_schema()
    return {
        values_file: head + BEGIN + config_values() + END + tail,
        schema_file: json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        chart / "files" / "live-settings.json": json.dumps(live_paths(), indent=2)
        + "\n",
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or only compare them; the result is the exit code."""
    description = "Keep the chart in step with service/settings/."
    return keep(render(), description=description, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
