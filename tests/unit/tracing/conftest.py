"""Fixtures of traces."""

import pytest

from tests.support.log import logged


@pytest.fixture
def log():
    """The log as JSON lines in memory."""
    with logged() as made:
        yield made
