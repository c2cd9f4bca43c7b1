"""What every test may count on."""

import logging

import pytest
import structlog

from service.observability.log_stream import LineHandler


@pytest.fixture(autouse=True)
def log_is_nobodys():
    """Begin each test without the log that another one configured."""
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, LineHandler):
            root.removeHandler(handler)
