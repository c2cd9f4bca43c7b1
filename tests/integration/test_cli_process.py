"""The command line as a process: streams, signals, terminals and what it imports."""

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

LIMIT = 60.0
"""Seconds that a command may take before the test fails."""


ON_TERMINAL = """
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test run in the background ignores it
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Program that makes its standard input the terminal of the command it becomes."""


HEEDING = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Program that becomes a command which heeds SIGINT even where the tests ignore it."""


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HTTPSERVER_")}
    return kept | more


def ran(*command: str, **options) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; what it says is text."""
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.run(
        command, check=False, text=True, timeout=LIMIT, **(piped | options)
    )


def run(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    """Run the command line; `env` is what its environment has besides ours."""
    env = environment(**options.pop("env", {}))
    return ran(sys.executable, "-m", "service", *arguments, env=env, **options)


@pytest.mark.parametrize("command", [["version"], ["--help"], ["config", "--help"]])
def test_short_command_imports_nothing_heavy(command):
    """`version` and help start without the parts of the service."""
    heavy = {"fastapi", "uvicorn", "kubernetes", "starlette", "watchfiles", "argon2"}
    heavy |= {"service.settings", "service.app", "service.config"}
    code = (
        "import sys, service.cli\n"
        f"sys.argv[1:] = {command!r}\n"
        "try:\n    service.cli.main()\n"
        f"finally:\n    print(*sys.modules.keys() & {heavy!r}, file=sys.stderr)"
    )
    done = ran(sys.executable, "-c", code)

    assert done.returncode == 0
    assert done.stderr.split() == []


def test_settings_come_from_file_folder_environment_and_flags(tmp_path: Path):
    """The process sees every source, and says where each value came from."""
    file = tmp_path / "config.toml"
    file.write_text('[log]\nlevel = "debug"\nprobes = true\naccess = false')
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "login__token_ttl").write_text("60\n")
    done = run(
        *["config", "show", "--set", "log.probes=no"],
        env={
            "HTTPSERVER_CONFIG": str(file),
            "HTTPSERVER_SECRETS_DIR": str(secrets),
            "HTTPSERVER_LOG__ACCESS": "true",
        },
    )
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}

    assert lines["log.level"] == ["debug", str(file)]
    assert lines["login.token_ttl"] == ["60.0", "secrets:login__token_ttl"]
    assert lines["log.access"] == ["true", "env:HTTPSERVER_LOG__ACCESS"]
    assert lines["log.probes"] == ["false", "flag:--set"]


def test_serve_with_wrong_settings_exits_2_before_it_listens(tmp_path: Path):
    """Wrong settings stop the start with one line each and no trace."""
    file = tmp_path / "config.yaml"
    file.write_text("server:\n  ports: [70000]\n")
    done = run("serve", "--config", str(file))

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        f"{file}:2: server.ports[0]: must be less than or equal to 65535\n"
    )


@pytest.mark.parametrize(
    "command", [["config", "show"], ["config", "schema"], ["--help"], ["version"]]
)
def test_reader_that_is_gone_is_no_error_to_tell(command):
    """`| head` makes no traceback."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as gone:
        done = run(*command, stdout=gone)

    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_disk_is_one_line():
    """Output that can't be written exits 1 with the reason."""
    with Path("/dev/full").open("w") as full:
        done = run("config", "schema", stdout=full)

    assert done.returncode == 1
    assert done.stderr == "can't write to standard output: No space left on device\n"


def typed(*arguments: str, keys: list[bytes]) -> tuple[int, str]:
    """Run a command on a terminal; each key is typed after the next prompt."""
    terminal, inside = pty.openpty()
    command = [sys.executable, "-m", "service", *arguments]
    process = subprocess.Popen(
        [sys.executable, "-c", ON_TERMINAL, *command],
        env=environment(),
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
    )
    os.close(inside)
    shown = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # Linux's way to say that the terminal has no more users
            part = b""
        if not part:
            break
        shown += part
        if keys and shown.rstrip().endswith(b":"):
            os.write(terminal, keys.pop(0))
            shown += b"|"
    os.close(terminal)
    return process.wait(timeout=LIMIT), shown.decode()


def test_password_is_asked_for_twice_and_not_shown():
    """On a terminal the password is typed unseen, and its hash printed."""
    code, shown = typed("hash-password", keys=[b"secret\n", b"secret\n"])

    assert code == 0
    assert "$argon2id$" in shown
    assert "secret" not in shown


def test_passwords_that_differ_are_refused():
    """A slip of the pen makes no hash."""
    code, shown = typed("hash-password", keys=[b"secret\n", b"other\n"])

    assert code == 2
    assert "the passwords differ" in shown


def test_interrupt_at_the_prompt_exits_130_without_a_trace():
    """Ctrl-C ends the command and says nothing."""
    code, shown = typed("hash-password", keys=[b"\x03"])

    assert code == 128 + signal.SIGINT
    assert "Traceback" not in shown


def test_interrupt_before_a_command_is_there_exits_130_without_a_trace():
    """Ctrl-C while the command line is being imported."""
    code = (
        "import runpy, sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "runpy.run_module('service', run_name='__main__')\n"
    )
    done = ran(sys.executable, "-c", code)

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="a process namespace needs root")
def test_first_process_of_a_container_ends_by_a_signal_that_comes_as_it_starts():
    """The kernel would keep the signal from it: nothing of ours takes it so early."""
    code = (
        "import os, runpy, signal, sys\n"
        "class Signalled:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'typer':\n"
        "            os.kill(os.getpid(), signal.SIGTERM)\n"
        "sys.meta_path.insert(0, Signalled())\n"
        "sys.argv = ['service', '--version']\n"
        "runpy.run_module('service', run_name='__main__')\n"
    )
    alone = ("unshare", "--pid", "--fork", "--kill-child")
    done = ran(*alone, sys.executable, "-c", code)

    assert (done.returncode, done.stdout, done.stderr) == (143, "", "")


def test_interrupt_while_reading_exits_130_without_a_trace():
    """SIGINT while it waits for piped input ends the command and says nothing."""
    command = ["-u", "-X", "importtime", "-m", "service", "hash-password"]
    process = subprocess.Popen(
        [sys.executable, "-c", HEEDING, sys.executable, *command],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.rstrip().endswith("| argon2"):
            break
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=LIMIT)

    assert process.returncode == 128 + signal.SIGINT
    assert "Traceback" not in rest


def test_table_on_a_terminal_loses_no_character():
    """A narrow terminal folds values instead of cutting them."""
    _, shown = typed("config", "show", keys=[])

    assert "…" not in shown
    assert re.search(r"trailing_slash\s+redirect", shown)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_is_shown(shell):
    """Typer's completion knows the command by its name."""
    env = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = run("--show-completion", shell, env=env)

    assert done.returncode == 0
    assert "httpserver" in done.stdout


def test_completion_offers_the_commands():
    """The shell gets the names of the commands."""
    env = {"_HTTPSERVER_COMPLETE": "complete_bash", "COMP_WORDS": "httpserver config "}
    done = run(env=env | {"COMP_CWORD": "2"})

    assert done.stdout.split() == ["show", "check", "schema", "example"]
