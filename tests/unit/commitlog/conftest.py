"""A server of NATS for the tests of a folder, and logs of one stream in it."""

import uuid

import pytest

from service.commitlog.jetstream import open_jetstream
from service.commitlog.jetstream_options import JetStreamOptions
from tests.support.nats import nats_server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
async def opened(server):
    """Open logs of one stream; close them at the end."""
    stream, logs = uuid.uuid4().hex, []

    async def open_one(**options):
        defaults = {"servers": (server.url,), "stream": stream, "replicas": 1}
        logs.append(await open_jetstream(JetStreamOptions(**defaults | options)))
        return logs[-1]

    yield open_one
    for log in logs:
        await log.close()
