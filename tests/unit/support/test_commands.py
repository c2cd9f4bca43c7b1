"""What the end-to-end tests try again, and what they tell, by a kubectl of a test."""

import os
import socket
from pathlib import Path

import pytest

from tests.support.commands import await_value, helm, kubectl
from tests.support.forwarding import forward
from tests.support.waiting import until

REFUSED = "The connection to the server 127.0.0.1:6443 was refused - did you specify?"
BUSY = "Error from server: etcdserver: request timed out"

COMPLAINS_ONCE = """#!/bin/sh
echo "$*" >>{folder}/calls
if [ $(wc -l <{folder}/calls) -eq 1 ]; then echo '{told}' >&2; exit 1; fi
echo done
"""

FORWARDS = """#!/bin/sh
echo "$*" >>{folder}/calls
if [ $(wc -l <{folder}/calls) -eq 1 ]; then echo 'error: no pod runs' >&2; exit 1; fi
echo 'Forwarding from 127.0.0.1:1 -> 80'
until [ -e {folder}/cut ]; do sleep 0.05; done
rm {folder}/cut
echo 'error: lost connection to pod' >&2
exit 1
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Put a program in place of kubectl and helm; return what it was told."""

    def put(script: str, told: str = "") -> Path:
        for name in ("kubectl", "helm"):
            program = tmp_path / name
            program.write_text(script.format(folder=tmp_path, told=told))
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        return tmp_path / "calls"

    return put


def calls(file: Path) -> list[str]:
    return file.read_text().splitlines()


@pytest.mark.parametrize(
    ("told", "arguments"),
    [
        (REFUSED, ("create", "-f", "-")),
        (BUSY, ("-n", "shop", "get", "pods")),
        (BUSY, ("delete", "namespace", "shop", "--ignore-not-found")),
        ("error: unable to upgrade connection: not found", ("exec", "a", "--", "id")),
    ],
    ids=["unreached", "busy", "gone already", "exec that did not begin"],
)
def test_command_that_was_turned_away_is_sent_again(fake, told, arguments):
    """Its first word is done what it asks for."""
    file = fake(COMPLAINS_ONCE, told)

    assert kubectl(*arguments) == "done\n"
    assert calls(file) == [" ".join(arguments)] * 2


@pytest.mark.parametrize(
    ("told", "arguments"),
    [
        (BUSY, ("create", "-f", "-")),
        ("Error from server (NotFound): no pod", ("get", "pod", "shop")),
        ("connection refused: etcdserver: no", ("exec", "a", "--", "id")),
    ],
    ids=["may have been done", "not found", "command's own complaint"],
)
def test_command_that_may_have_been_done_is_sent_once(fake, told, arguments):
    """Its complaint is the failure."""
    file = fake(COMPLAINS_ONCE, told)

    with pytest.raises(AssertionError, match=told[:20].replace("(", r"\(")):
        kubectl(*arguments)
    assert calls(file) == [" ".join(arguments)]


def test_installation_that_was_turned_away_is_made_anew(fake):
    """What there was of it is taken back before."""
    file = fake(COMPLAINS_ONCE, "Error: failed calling webhook: refused")

    helm("install", "shop", "chart", "--namespace", "market", "--wait")

    words = [line.split()[0] for line in calls(file)]
    assert words == ["install", "uninstall", "install"]


def test_end_of_a_release_that_was_turned_away_is_asked_for_again(fake):
    """What the first one did is no error."""
    file = fake(COMPLAINS_ONCE, "Error: etcdserver: leader changed")

    helm("uninstall", "shop", "--namespace", "market")

    line = "uninstall shop --namespace market --ignore-not-found"
    assert calls(file) == [line, line]


def test_value_that_cannot_be_had_yet_is_waited_for():
    """An error is an answer like another, until the time is over."""
    answers = iter([OSError("away"), ValueError("half a line"), 1, 2])

    def get() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await_value(get, lambda value: value == 2) == 2


def test_value_that_never_comes_is_told_shortly():
    """Both ends of a long one."""
    with pytest.raises(AssertionError) as failure:
        await_value(lambda: f"begin{'.' * 9000}end", lambda _: False, limit=0)

    assert "begin" in str(failure.value)
    assert "end" in str(failure.value)
    assert len(str(failure.value)) < 1200


def test_forwarding_begins_anew_on_its_port_when_it_is_cut(fake, tmp_path):
    """When the pod is late, and when a connection through it was cut."""
    file = fake(FORWARDS)
    with forward("shop", "pod/a", 80, again=True) as port:
        assert len(calls(file)) == 2
        (tmp_path / "cut").touch()
        until(lambda: len(calls(file)) == 3)

    for told in calls(file)[1:]:
        assert told.endswith(f"pod/a {port}:80")
    with socket.create_server(("127.0.0.1", port)):
        pass  # nobody is left there


def test_forwarding_that_is_not_to_last_ends_when_it_is_cut(fake, tmp_path):
    """Nobody is led to the next pod."""
    file = fake(FORWARDS)
    with forward("shop", "service/a", 80, again=False):
        (tmp_path / "cut").touch()
        until(lambda: not (tmp_path / "cut").exists())

    assert len(calls(file)) == 2
