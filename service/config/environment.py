"""
What the environment gives: `HTTPSERVER_<SECTION>__<FIELD>`, and nothing unknown.

Everything that begins with `HTTPSERVER_` is ours, so that a slip of the pen is found,
but for what the kubelet sets in every pod beside a Service of that name.
"""

import re
from collections.abc import Mapping

from service.config.layers import Layer
from service.config.leaves import ENVIRONMENT_PREFIX, leaves
from service.config.problems import Problem, did_you_mean

__all__ = ["CONFIG_VARIABLE", "SECRETS_VARIABLE", "environment_layer"]

CONFIG_VARIABLE = "HTTPSERVER_CONFIG"
"""Variable that names the settings file."""

SECRETS_VARIABLE = "HTTPSERVER_SECRETS_DIR"
"""Variable that names the secrets folder."""

_OF_COMMANDS = frozenset(
    {
        "HTTPSERVER_LOG",
        "HTTPSERVER_PUSHGATEWAY",
        "HTTPSERVER_TOKEN",
        "HTTPSERVER_URL",
    }
)
"""Variables that stand for options of commands, and are no settings."""

_SERVICE_LINK = re.compile(
    r"HTTPSERVER_(\w+_)?SERVICE_(HOST|PORT(_\w+)?)"
    r"|HTTPSERVER_(\w+_)?PORT_\d+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR)"
)
"""
Names that the kubelet sets for a Service `httpserver` or `httpserver-…`.

Source: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
"""

_SERVICE_LINK_URL = re.compile(r"HTTPSERVER_(\w+_)?PORT(_\d+_(TCP|UDP|SCTP))?")
"""The same, where the value is `tcp://address:port`; with another it is a mistake."""


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """
    Return what the environment gives.

    Args:
        environ: All of it; variables that are not ours are passed over.
    """
    layer = Layer()
    by_name = {leaf.variable: leaf for leaf in leaves().values()}
    ours = sorted(name for name in environ if name.startswith(ENVIRONMENT_PREFIX))
    for name in ours:
        place = f"env:{name}"
        if name in by_name:
            layer.give_text(by_name[name], environ[name], place=place)
        elif name in _OF_COMMANDS:
            continue
        elif name in {CONFIG_VARIABLE, SECRETS_VARIABLE}:
            if not environ[name]:
                layer.problems.append(Problem(place=place, reason="is empty"))
        elif not _is_service_link(name, environ[name]):
            known = [*by_name, CONFIG_VARIABLE, SECRETS_VARIABLE]
            near = did_you_mean(name, known, prefix=ENVIRONMENT_PREFIX)
            reason = f"no such setting{near}"
            layer.problems.append(Problem(place=place, reason=reason))
    return layer


def _is_service_link(name: str, value: str) -> bool:
    if "__" in name:
        return False
    if _SERVICE_LINK.fullmatch(name):
        return True
    is_url = value.startswith(("tcp://", "udp://", "sctp://"))
    return is_url and _SERVICE_LINK_URL.fullmatch(name) is not None
