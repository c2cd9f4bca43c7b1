"""The process may hold as many connections as the machine lets it."""

import resource
import subprocess
import sys

PROGRAM = """
import resource
from service.observability import logging
from service.server.open_files import raise_limit
from service.settings import LogSettings
logging.configure(LogSettings(format="json"))
resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))
print(raise_limit({connections}))
"""


def run(**values: int) -> str:
    """Run the program in a process of its own: a hard limit never comes back."""
    program = PROGRAM.format(**values)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout


def test_soft_limit_becomes_the_hard_one():
    """1,024 files are few connections; nobody is warned when they are enough."""
    assert run(hard=1000, connections=500) == "1000\n"


def test_limit_that_is_too_low_is_told():
    """Connections would be refused by the kernel before the service's own limit."""
    out = run(hard=600, connections=500)

    assert "open_files_limited" in out
    assert out.endswith("600\n")


def test_this_process_is_left_alone():
    """Importing the module changes nothing."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    __import__("service.server.open_files")

    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
