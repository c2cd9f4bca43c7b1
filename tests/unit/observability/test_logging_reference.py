"""What docs/logging.md shows is what is written."""

import json
import re
from pathlib import Path

from prometheus_client import CollectorRegistry

from service.observability.access_log import AccessLog
from service.observability.log_lines import LONGEST
from service.observability.log_metrics import LogMetrics
from service.observability.log_sampling import LogSampling
from service.observability.logging import get_logger
from service.settings import LogSettings, SamplingSettings
from tests.support.log import logged

DOCUMENT = Path("docs/logging.md").read_text(encoding="utf-8")

EVENT, FLOOD, ACCESS = re.findall(r"```json\n(.*)\n```", DOCUMENT)

LEAD = ("timestamp", "level", "logger", "event")


def without_time(line: str) -> str:
    """The line with all its digits of time gone."""
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "", line)


def test_examples_are_what_is_written_byte_for_byte():
    """The event in both forms, and the access line."""
    shown = {k: v for k, v in json.loads(ACCESS).items() if k not in LEAD}
    with logged() as log:
        get_logger("httpserver.lifecycle").info("lifecycle", phase="ready")
        AccessLog().write(**shown)
    with logged(format="console") as console:
        get_logger("httpserver.lifecycle").info("lifecycle", phase="ready")

    assert without_time(log.text) == without_time(f"{EVENT}\n{ACCESS}\n")
    (text,) = re.findall(r"```text\n(.*\n)```", DOCUMENT)
    assert without_time(console.text) == without_time(text)


async def test_line_that_ends_a_flood_is_as_shown(log):
    """Its keys and their order, and what it names."""
    shown = {k: v for k, v in json.loads(ACCESS).items() if k not in LEAD}
    sampling = LogSampling(
        SamplingSettings(first=1, then_every=0), LogMetrics(CollectorRegistry())
    )
    await sampling.start()
    access = AccessLog()
    for _ in range(49):
        access.write(**shown | {"route": "/hello", "status": 204})
    await access.stop()
    await sampling.stop()

    assert without_time(log.text.splitlines()[-1]) == without_time(FLOOD)


def test_defaults_of_redaction_are_as_shown():
    """The words that are masked without a setting."""
    (shown,) = re.findall(r"redact: \[(.*)\]", DOCUMENT)

    assert shown.split(", ") == LogSettings().redact


def test_table_has_the_keys_of_the_access_line():
    """Each field is explained, in its order."""
    table = DOCUMENT.partition("## The access line")[2]
    keys = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)

    assert [*LEAD, *keys] == list(json.loads(ACCESS))


def test_limit_and_quiet_loggers_are_as_told(log):
    """16 KiB with the line's end; the quiet loggers are those named."""
    assert LONGEST + len("\n") == 16 * 1024
    assert "`log.format` is `json`, `console` or `auto`, the default" in DOCUMENT
    assert LogSettings().format == "auto"
    for name in ("uvicorn.access", "watchfiles"):
        assert f"`{name}`" in DOCUMENT
        get_logger(name).info("unheard")
    assert log.text == ""
