"""docs/security.md names code and tests that are there."""

import re

from service.server.filters import DEFAULT_SECURITY_HEADERS
from tests.support.chart import ROOT

DOCUMENT = (ROOT / "docs/security.md").read_text()


def test_every_named_file_is_there():
    """A renamed module or test does not leave the table behind."""
    named = set(re.findall(r"`((?:service|tests|tools)/[\w/.]+)`", DOCUMENT))
    missing = [path for path in named if not (ROOT / path).exists()]

    assert len(named) > 30
    assert missing == []


def test_every_header_is_told():
    """The table holds the headers that are sent, with the policy word by word."""
    told = {name.lower() for name in re.findall(r"(?m)^\| `([\w-]+)` \|", DOCUMENT)}

    assert told == {*DEFAULT_SECURITY_HEADERS, "strict-transport-security"}
    assert DEFAULT_SECURITY_HEADERS["content-security-policy"] in DOCUMENT
