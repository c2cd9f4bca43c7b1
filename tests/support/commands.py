"""
kubectl and helm as commands, patient with a cluster that is late.

What a busy API server does not take (429, a leader's election, a webhook that is not
up) is sent again, if to send it twice does no harm; what did not even reach it, always.
All else is told in the failure.
"""

import re
import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

import httpx2

__all__ = ["BUSY", "LIMIT", "WAIT", "await_value", "helm", "kubectl"]

T = TypeVar("T")

LIMIT = 300.0
"""Seconds until a condition of the cluster has to hold. A kubelet takes up to 90 to
bring a changed file, and a small machine its time: only what never comes fails."""

WAIT = f"--timeout={LIMIT:g}s"
"""The same for `kubectl wait`, `kubectl rollout status` and helm."""

_COMMAND = 3 * LIMIT
"""Seconds for a command, which may wait for several things."""

BUSY = 60.0
"""Seconds in which a busy API server takes what it is asked."""

_UNREACHED = re.compile(
    r"^(The connection to the server \S+ was refused"
    r"|Unable to connect to the server: (dial |net/http: TLS handshake timeout))",
    re.MULTILINE,
)
"""Said before anything was done."""

_UNSTARTED = re.compile(
    r"^(error: unable to upgrade connection|Error from server: error dialing backend)",
    re.MULTILINE,
)
"""Said before a command in a pod was started."""

_TURNED_AWAY = re.compile(
    r"etcdserver: |Too many requests|\(ServiceUnavailable\)|\(Timeout\)"
    r"|failed calling webhook|error dialing backend|http2: client connection lost"
    r"|Unable to connect to the server|unexpected EOF|connection reset by peer"
    r"|unable to (handle the request|return a response in the time allotted)"
)

_TWICE = {
    "annotate",
    "apply",
    "get",
    "label",
    "logs",
    "patch",
    "replace",
    "rollout",
    "scale",
    "set",
    "top",
    "wait",
}
"""Commands that do no harm when they come twice."""

_NOT_YET = (
    AssertionError,
    LookupError,
    OSError,
    ValueError,
    httpx2.HTTPError,
    subprocess.SubprocessError,
)
"""What a look at something raises that is not there, or not whole."""


def kubectl(*arguments: str, stdin: str | None = None, busy: float = BUSY) -> str:
    """
    Run kubectl and return what it prints; its complaint is in the failure.

    Args:
        arguments: What it is told.
        stdin: What it reads.
        busy: Seconds in which an API server has to take it.
    """
    verb = arguments[2] if arguments[0] == "-n" else arguments[0]
    end = time.monotonic() + busy
    while True:
        try:
            return _command(["kubectl", *arguments], stdin=stdin)
        except AssertionError as error:
            twice = verb in _TWICE or "--ignore-not-found" in arguments
            if time.monotonic() > end or not _may_repeat(verb, str(error), twice=twice):
                raise
        time.sleep(0.5)


def helm(*arguments: str) -> str:
    """
    Run helm and return what it prints.

    What the API server turned away is asked for again; of an installation, what there
    is of it is taken back before.
    """
    if arguments[0] == "uninstall":
        arguments = (*arguments, "--ignore-not-found")
    try:
        return _command(["helm", *arguments])
    except AssertionError as error:
        if not _TURNED_AWAY.search(str(error)):
            raise
    if arguments[0] == "install":
        namespace = arguments[arguments.index("--namespace") + 1]
        helm("uninstall", arguments[1], "--namespace", namespace, "--wait")
    return _command(["helm", *arguments])


def _may_repeat(verb: str, told: str, *, twice: bool) -> bool:
    if _UNREACHED.search(told):
        return True
    if verb == "exec":
        return bool(_UNSTARTED.search(told))
    return twice and bool(_TURNED_AWAY.search(told))


def _command(command: list[str], *, stdin: str | None = None) -> str:
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=_COMMAND
    )
    if done.returncode:
        told = done.stderr or done.stdout
        # the complaint begins a line; long arguments are not what anybody looks for
        raise AssertionError(f"{' '.join(command):.200}:\n{told[-1500:]}")
    return done.stdout


def await_value(
    get: Callable[[], T], wanted: Callable[[T], bool], *, limit: float = LIMIT
) -> T:
    """
    Return what *get* gives once it is *wanted*; fail with the last value.

    What can't be had just now, because a server is away or an object not yet there, is
    not wanted.
    """
    end = time.monotonic() + limit
    while True:
        try:
            value = get()
            if wanted(value):
                return value
            last = repr(value)
        except _NOT_YET as error:
            last = repr(error)
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit:g} s; last: {_short(last)}")
        time.sleep(0.5)


def _short(text: str, most: int = 1000) -> str:
    """Leave out the middle: what happened last stands at the end of a log."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]} … {text[-half:]}"
