"""
Shorten every time in rules, for a rehearsal: an alert that takes an hour in minutes.

    kubectl -n httpserver get prometheusrule httpserver -o yaml |
      python -m tools.short_rules 20 | kubectl replace -f -

Windows, `for`, `keep_firing_for` and the groups' intervals are divided, so that a rule
sees the same picture drawn smaller; names and thresholds stay. It takes a
PrometheusRule or a plain rule file. Prometheus must scrape and evaluate as much more
often, or the windows are empty: at 15 s a factor of 20 needs a scrape each second or
two. Never leave such rules in place.
"""

import argparse
import re
import sys
from typing import Any

import yaml

__all__ = ["main", "shortened"]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_WINDOW = re.compile(r"\[(\d+)([smhd])\]")
_DURATION = re.compile(r"(\d+)([smhd])")
_TIMES = ("for", "keep_firing_for")


def shortened(node: dict[str, Any], factor: float) -> dict[str, Any]:
    """
    Return rules whose times are divided.

    Args:
        node: PrometheusRule, or rule file, with `groups` of rules.
        factor: What they are divided by, > 0.

    Raises:
        KeyError: There are no groups in it.
    """
    if "spec" in node:
        return node | {"spec": shortened(node["spec"], factor)}
    return node | {"groups": [_group(each, factor) for each in node["groups"]]}


def _group(group: dict[str, Any], factor: float) -> dict[str, Any]:
    short = group | {"rules": [_rule(rule, factor) for rule in group["rules"]]}
    if "interval" in group:
        short["interval"] = _DURATION.sub(
            lambda m: _divided(m, factor), short["interval"]
        )
    return short


def _rule(rule: dict[str, Any], factor: float) -> dict[str, Any]:
    times = {
        name: _DURATION.sub(lambda m: _divided(m, factor), rule[name])
        for name in _TIMES
        if name in rule
    }
    expr = _WINDOW.sub(lambda m: f"[{_divided(m, factor)}]", str(rule["expr"]))
    return rule | times | {"expr": expr}


def _divided(found: re.Match[str], factor: float) -> str:
    return f"{int(found[1]) * _SECONDS[found[2]] * 1000 / factor:.0f}ms"


def main(arguments: list[str] | None = None) -> int:
    """Read rules from standard input, write them shortened; return the exit code."""
    description = (__doc__ or "").strip().split("\n")[0]
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("factor", type=float, help="what times are divided by")
    factor = parser.parse_args(arguments).factor
    short = shortened(yaml.safe_load(sys.stdin), factor)
    yaml.safe_dump(short, sys.stdout, sort_keys=False, width=10_000)
    return 0


if __name__ == "__main__":
    sys.exit(main())
