"""What stands around the calls of the log service: the line of each in the log."""

import logging

import pytest

from service.commitlog import MemoryLog
from service.log_api.v1 import log_pb2
from service.observability.log_stream import FIELDS
from tests.support.log_service import local_service


@pytest.mark.parametrize(
    ("level", "lines"), [(logging.INFO, 1), (logging.WARNING, 0)], ids=["info", "warn"]
)
async def test_call_has_a_line_as_its_logger_wants(caplog, level, lines):
    """The line tells method, code, time and caller; a quieter logger has none."""
    caplog.set_level(level, "httpserver.grpc")
    caplog.handler.setLevel(logging.NOTSET)  # else it leaves the line out itself
    async with local_service(MemoryLog()) as (stub, _):
        await stub.GetOffsets(log_pb2.GetOffsetsRequest())
    found = [each for each in caplog.records if each.name == "httpserver.grpc"]

    assert len(found) == lines
    for each in found:
        fields = getattr(each, FIELDS)
        assert each.getMessage() == "call"
        assert fields.pop("duration") >= 0
        assert fields.pop("client") == "127.0.0.1"
        assert fields == {"method": "log.v1.LogService/GetOffsets", "code": "OK"}
