"""The part that opens the logs: by the settings, all or none, with a reason."""

import errno

import pytest
from prometheus_client import CollectorRegistry

from service.commitlog import Acknowledge, Compression, Record
from service.commitlog.errors import WritesRefused
from service.errors import StartError
from service.log_service.streams import Streams, policy_of
from service.observability.commitlog_metrics import CommitLogMetrics
from service.settings.log_service import LogPolicySettings, LogServiceSettings


def streams(directory, **settings):
    values = {"directory": str(directory), "streams": ["one", "two"], **settings}
    given = LogServiceSettings.model_validate(values)
    registry = CollectorRegistry()
    made = Streams(lambda: given, metrics=CommitLogMetrics(registry))
    return made, registry


def test_policy_is_that_of_the_settings():
    """Every field of the settings is one of the library's."""
    settings = LogPolicySettings(
        acknowledge="written", compression="zlib", segment_bytes=4096
    )
    policy = policy_of(settings)

    assert policy.acknowledge is Acknowledge.WRITTEN
    assert policy.compression is Compression.ZLIB
    assert policy.segment_bytes == 4096


async def test_streams_are_there_again_after_a_restart(tmp_path):
    """Each in a folder of its own, with the offsets that it had, and measured."""
    first, _ = streams(tmp_path)
    await first.start()
    await first["two"].append([Record(b"x")])
    await first.stop()
    second, registry = streams(tmp_path)
    await second.start()
    offsets = {name: second[name].offsets().next for name in second}
    value = registry.get_sample_value(
        "httpserver_commitlog_next_offset", {"stream": "two"}
    )
    await second.check()
    await second.stop()

    assert offsets == {"one": 0, "two": 1}
    assert value == 1
    assert len(second) == 2


async def test_stream_of_another_process_stops_the_start(tmp_path):
    """And those that were opened are closed again."""
    first, _ = streams(tmp_path, streams=["two"])
    await first.start()
    second, _ = streams(tmp_path)
    with pytest.raises(StartError, match="two: another process writes to it"):
        await second.start()
    third, _ = streams(tmp_path, streams=["one"])
    await third.start()
    await third.stop()
    await first.stop()


async def test_damaged_stream_stops_the_start_with_what_to_do(tmp_path):
    """Damage of what was on disk is never cut away."""
    first, _ = streams(tmp_path, streams=["one"])
    await first.start()
    for _ in range(3):
        await first["one"].append([Record(b"x" * 100)])
    await first.stop()
    store = next((tmp_path / "one").glob("*.log"))
    content = bytearray(store.read_bytes())
    content[60] ^= 1
    store.write_bytes(content)
    second, _ = streams(tmp_path, streams=["one"])
    with pytest.raises(StartError, match="httpserver log verify"):
        await second.start()


async def test_folder_that_can_not_be_made_stops_the_start(tmp_path):
    """With the system's reason."""
    (tmp_path / "file").write_text("")
    made, _ = streams(tmp_path / "file" / "log")
    with pytest.raises(StartError, match="file"):
        await made.start()


async def test_service_is_not_ready_once_a_sync_has_failed(tmp_path, monkeypatch):
    """No later record is taken: traffic goes elsewhere."""
    made, registry = streams(tmp_path, streams=["one"])
    await made.start()
    store = made["one"]._log._active.store

    def fail():
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(store, "sync", fail)
    with pytest.raises(WritesRefused):
        await made["one"].append([Record(b"x")])
    depths = []
    for _ in range(3):
        with pytest.raises(WritesRefused) as caught:
            await made.check()
        depths.append(len(caught.traceback))
    value = registry.get_sample_value(
        "httpserver_commitlog_writes_refused", {"stream": "one"}
    )
    await made.stop()

    assert value == 1
    assert depths == depths[:1] * 3, "each look would keep its frames"


async def test_log_in_memory_has_a_name_too(tmp_path):
    """The store is a setting."""
    made, _ = streams(tmp_path / "none", store="memory", streams=["one"])
    await made.start()
    await made["one"].append([Record(b"x")])
    await made.check()
    await made.stop()

    assert not (tmp_path / "none").exists()
