"""What several modules run once each: a browser, and services that have files."""

import pytest

from tests.support.files import files_client, serving_files, settings
from tests.support.files_cli import run
from tests.support.process import serving


@pytest.fixture(scope="module")
def browser():
    """Chromium; a test of it is skipped where there is none."""
    from tests.support.browser import launched

    with launched() as started:
        yield started


@pytest.fixture(scope="module")
def file_service(tmp_path_factory):
    """A service that takes files of up to 5 MB."""
    root = tmp_path_factory.mktemp("files")
    with serving_files(root, max_upload_bytes=5_000_000) as running:
        yield running


@pytest.fixture
def file_client(file_service):
    """A client that finds none, and leaves nothing half written."""
    with files_client(file_service) as found:
        yield found


@pytest.fixture(scope="module")
def busy_file_service(tmp_path_factory):
    """A service that takes as many files as commands, or a page, have for it."""
    root = tmp_path_factory.mktemp("files")
    with serving(**settings(root), throttle__enabled=False) as running:
        yield running


@pytest.fixture
def state(tmp_path, monkeypatch):
    """Where commands remember their uploads."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "httpserver" / "uploads"


@pytest.fixture
def files(busy_file_service, state):
    """Runs a command against the service, which has no file at its begin."""
    yield lambda *arguments: run(busy_file_service.url, *arguments)
    for line in run(busy_file_service.url, "ls", "-r").stdout.splitlines():
        assert run(busy_file_service.url, "rm", line.split("\t")[2]).exit_code == 0
