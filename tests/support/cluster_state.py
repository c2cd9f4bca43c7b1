"""What a cluster's namespaces look like, in few lines, for the report of a failure."""

import json
import subprocess
from typing import Any

__all__ = ["namespaces", "state"]

_PREFIX = "httpserver"
"""What the names of the tests' namespaces begin with."""

_EVENTS, _LINES, _WIDTH = 6, 3, 180

_REQUEST = '"event":"request"'
"""Lines of an access log, which say least of why something failed."""


def namespaces() -> list[str]:
    """Return the tests' namespaces that are there to stay."""
    return [
        each["metadata"]["name"]
        for each in _items("get", "namespaces")
        if each["metadata"]["name"].startswith(_PREFIX)
        and "deletionTimestamp" not in each["metadata"]
    ]


def state(namespace: str) -> str:
    """Return its pods, its last events of interest, and the ends of the pods' logs."""
    pods = _items("-n", namespace, "get", "pods")
    lines = [*_nodes(), f"namespace {namespace}"]
    lines += [f"  pod {_pod(each)}" for each in pods]
    lines += [f"  event {each}" for each in _events(namespace)]
    for each in pods:
        lines += _log(namespace, each["metadata"]["name"])
    return "\n".join(line[:_WIDTH] for line in lines)


def _nodes() -> list[str]:
    """Return a line for each node that takes no pods, or lacks disk or memory."""
    lines = []
    for node in _items("get", "nodes"):
        taints = [each["key"] for each in node["spec"].get("taints", [])]
        wrong = [
            f"{each['type']} {each['status']}: {each.get('message')}"
            for each in node["status"].get("conditions", [])
            if each["status"] != ("True" if each["type"] == "Ready" else "False")
        ]
        if taints or wrong:
            lines.append(f"node {node['metadata']['name']} {taints} {wrong}")
    return lines


def _pod(pod: dict[str, Any]) -> str:
    statuses = pod["status"].get("containerStatuses", [])
    words = [
        pod["metadata"]["name"],
        pod["status"].get("phase", ""),
        "leaving" if "deletionTimestamp" in pod["metadata"] else "",
        f"ready {sum(each['ready'] for each in statuses)}/{len(statuses)}",
        f"restarts {sum(each['restartCount'] for each in statuses)}",
        *(_reason(each) for each in statuses),
    ]
    return " ".join(filter(None, words))


def _reason(status: dict[str, Any]) -> str:
    """Return why a container does not run, and how it ended before."""
    waiting = status["state"].get("waiting", {})
    ended = status["state"].get("terminated") or status["lastState"].get("terminated")
    before = f"ended: {ended.get('reason')} {ended['exitCode']}" if ended else ""
    words = (waiting.get("reason"), waiting.get("message"), before)
    return " ".join(filter(None, words))


def _events(namespace: str) -> list[str]:
    found = _items("-n", namespace, "get", "events", "--field-selector=type!=Normal")
    found.sort(key=lambda each: str(each.get("lastTimestamp") or ""))
    return [
        f"{each.get('lastTimestamp')} {each['involvedObject'].get('name')}"
        f" {each.get('reason')}: {each.get('message')}"
        for each in found[-_EVENTS:]
    ]


def _log(namespace: str, pod: str) -> list[str]:
    told = _kubectl("-n", namespace, "logs", pod, "--tail=500").splitlines()
    lines = [line for line in told if _REQUEST not in line]
    return [f"  {pod}: {line}" for line in lines[-_LINES:]]


def _items(*arguments: str) -> list[dict[str, Any]]:
    try:
        return list(json.loads(_kubectl(*arguments, "-o", "json"))["items"])
    except (ValueError, KeyError):
        return []


def _kubectl(*arguments: str) -> str:
    """Return what it prints, or its complaint: nothing here hides the failure."""
    command = ["kubectl", *arguments, "--request-timeout=20s"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        return repr(error)
    return done.stdout or done.stderr
