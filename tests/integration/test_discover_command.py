"""`httpserver discover`: where services are, on the terminal and for programs."""

import json
import signal
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "service", "discover"]
LIMIT = 60


@pytest.fixture
def file(tmp_path):
    found = tmp_path / "services.yaml"
    found.write_text("shop: ['10.0.0.1:80', {address: '10.0.0.2:80', zone: a}]\n")
    return found


def discover(file, *arguments):
    command = [*COMMAND, *arguments, "--set", f"discovery.file={file}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)


def test_endpoints_are_printed(file):
    """A line each: service, address, state, zone; nothing on standard error."""
    done = discover(file)

    assert done.stdout.splitlines() == [
        "shop  10.0.0.1:80  ready",
        "shop  10.0.0.2:80  ready  a",
    ]
    assert (done.returncode, done.stderr) == (0, "")


def test_json_is_one_line(file):
    """For programs."""
    done = discover(file, "--json", "shop")

    (line,) = done.stdout.splitlines()
    assert json.loads(line)["shop"]["source"] == "static"


def test_unknown_service_is_told_and_fails(file):
    """Exit code 1, and which one."""
    done = discover(file, "shop", "nosuch")

    assert done.returncode == 1
    assert "nosuch  -  unknown" in done.stdout


def test_nothing_configured_is_wrong_usage():
    """Exit code 2."""
    done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=LIMIT)

    assert (done.returncode, done.stdout) == (2, "")
    assert "discovery.services" in done.stderr


def test_watch_prints_each_change(file):
    """Until Ctrl-C, which is exit code 130."""
    command = [*COMMAND, "--watch", "--json", "--set", f"discovery.file={file}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            first = json.loads(process.stdout.readline())
            file.write_text("shop: ['10.0.0.3:80']\n")
            second = json.loads(process.stdout.readline())
            process.send_signal(signal.SIGINT)
            code = process.wait(timeout=LIMIT)
        finally:
            process.kill()

    assert len(first["shop"]["endpoints"]) == 2
    assert [e["address"] for e in second["shop"]["endpoints"]] == ["10.0.0.3:80"]
    assert code == 130
