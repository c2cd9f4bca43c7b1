"""The log service is a feature that costs nothing while it is off."""

import json
import subprocess
import sys

import pytest

ASK = """
import json, sys
from service.app import create_service
from service.config import SettingsStore
from service.settings import Settings

settings = Settings.model_validate({"log_service": json.loads(sys.argv[1])})
service = create_service(SettingsStore.of(settings))
parts = [part.name for part in service.parts if part.name in sys.argv[2:]]
print(json.dumps([parts, "grpc" in sys.modules]))
"""


PARTS = ("log_streams", "log_certificates", "log_service")


@pytest.mark.parametrize(
    ("section", "parts", "imported"),
    [
        ({}, [], False),
        ({"enabled": True}, ["log_streams", "log_service"], True),
        (
            {"enabled": True, "tls": {"enabled": True}},
            ["log_streams", "log_certificates", "log_service"],
            True,
        ),
    ],
    ids=["off", "on", "tls"],
)
def test_parts_and_imports_are_those_that_are_asked_for(section, parts, imported):
    """What listens comes last, so that it stops before what it serves."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, json.dumps(section), *PARTS],
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(done.stdout) == [parts, imported]
