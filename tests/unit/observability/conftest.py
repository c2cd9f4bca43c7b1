"""The service's log, caught."""

import pytest

from tests.support.log_capture import LogCapture, logging_to


@pytest.fixture
def log():
    """The log as JSON lines, from debug on."""
    with logging_to(LogCapture(), level="debug") as stream:
        yield stream
