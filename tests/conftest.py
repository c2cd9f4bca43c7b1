"""What every test may count on."""

import logging

import httpx2
import pytest
import structlog
from hypothesis import HealthCheck, settings

from service.observability.log_stream import LineHandler

# what its assertions compared is told, as it is of tests
pytest.register_assert_rewrite("tests.support")

_PATIENCE = 60.0
"""Seconds that a test's request may take which names no time-out, instead of 5: on a
busy machine nothing is wrong with a service that is late."""


def pytest_configure():
    """Let no slowness fail a test that names no time of its own."""
    # an example that is held up for a moment is no finding of Hypothesis
    settings.register_profile(
        "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("patient")
    _be_patient()


def _be_patient():
    """Give requests of tests their time, and one TLS context for all of them."""
    # the one object that is the default of every function and client of the library
    default = httpx2.get.__kwdefaults__["timeout"]
    for each in ("connect", "read", "write", "pool"):
        setattr(default, each, _PATIENCE)
    # to load the authorities takes 40 ms of work, for each request of a loop anew
    tls = httpx2.create_ssl_context()
    names = ("request", "get", "post", "put", "patch", "delete", "head", "options")
    clients = (httpx2.Client.__init__, httpx2.AsyncClient.__init__)
    for each in (*clients, *(getattr(httpx2, name) for name in names)):
        each.__kwdefaults__["verify"] = tls


@pytest.fixture(autouse=True)
def log_is_nobodys():
    """Begin each test without the log that another one configured."""
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, LineHandler):
            root.removeHandler(handler)
