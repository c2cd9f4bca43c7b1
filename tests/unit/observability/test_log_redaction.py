"""What is secret by its name or its look is masked, whoever wrote the line."""

import base64
import dataclasses
import json
import logging
import time
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

import pytest
from pydantic import SecretStr

from service.observability.access_log import AccessLog
from service.observability.log_redaction import MASK, Redactor
from service.observability.logging import adapt, get_logger
from service.settings import LogSettings
from tests.support.log import logged

NAMES = LogSettings().redact

BASIC = base64.b64encode(b"ann:pass").decode()

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"

HIDDEN = "hunter2"


@dataclasses.dataclass
class Login:
    """Fields of its own."""

    username: str
    password: str


class Pair(NamedTuple):
    """A tuple whose members have names."""

    username: str
    api_key: str


@pytest.mark.parametrize(
    "name",
    ["password", "PASSWORD", "db_password", "X-Api-Key", "apiKey_api_key", "Set-Cookie",
     "client_secret", "refresh-token", "Proxy-Authorization", "passwords"],
)  # fmt: skip
def test_field_whose_name_holds_a_word_is_masked(log, name):
    """In any case, with either dash, whatever stands around it."""
    get_logger("a").info("told", **{name: HIDDEN, "user": "ann"})

    assert log.lines[0][name] == MASK
    assert log.lines[0]["user"] == "ann"


@pytest.mark.parametrize(
    "value", [HIDDEN, "", None, 0, True, [HIDDEN], {"a": HIDDEN}, SecretStr(HIDDEN)]
)
def test_value_of_any_type_is_masked(log, value):
    """Even an empty one: that there is none may be worth knowing to the wrong ones."""
    get_logger("a").info("told", token=value)

    assert log.lines[0]["token"] == MASK


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"password": HIDDEN, "username": "ann"}, id="dict"),
        pytest.param(MappingProxyType({"password": HIDDEN, "u": "ann"}), id="mapping"),
        pytest.param([{"a": ({"password": HIDDEN}, "ann")}], id="deep"),
        pytest.param(Login("ann", HIDDEN), id="dataclass"),
        pytest.param([Pair("ann", HIDDEN)], id="named tuple"),
        pytest.param({b"password": HIDDEN, "u": "ann"}, id="bytes as a key"),
        pytest.param(f"ann password={HIDDEN}", id="text"),
        pytest.param(f"ann password='{HIDDEN} 2'", id="quoted"),
        pytest.param(f'ann {{"api-key": "{HIDDEN} 2"}}', id="JSON as text"),
        pytest.param(f"ann {{'tokens': ['1', '{HIDDEN}']}}", id="repr"),
        pytest.param(json.dumps(f'ann {{"token": "{HIDDEN}"}}'), id="JSON in JSON"),
        pytest.param(f"/ann?q=1&token={HIDDEN}&b=2", id="query"),
        pytest.param(ValueError(f"ann: Bearer {HIDDEN}-1"), id="exception"),
        pytest.param(f"ann bearer  {HIDDEN}-1", id="bearer"),
        pytest.param(f"ann postgresql+asyncpg://me:{HIDDEN}@db/x", id="URL"),
        pytest.param(f"ann redis://:a@{HIDDEN}@db:6379/0", id="URL without a user"),
    ],
)
def test_secret_is_found_at_any_depth_and_in_text(log, value):
    """The rest of the value stays readable."""
    get_logger("a").info("told", given=value)

    assert HIDDEN not in log.text
    assert MASK in log.text
    assert "ann" in log.text


def test_what_is_nested_beyond_reason_or_in_circles_is_cut():
    """The look ends, and shows nothing that it has not seen."""
    circle: dict[str, object] = {}
    circle |= {"a": circle, "b": circle}
    deep: object = {"password": HIDDEN}
    for _ in range(200):
        deep = [deep]

    with logged() as log:
        get_logger("a").info("told", circle=circle, deep=deep)

    assert HIDDEN not in log.text
    assert "<list>" in log.text


@pytest.mark.parametrize("text", [f"Basic {BASIC}", f"basic {BASIC.rstrip('=')}", JWT])
def test_credential_is_masked_in_a_sentence_of_a_library(log, text):
    """The message is looked through once its values are in it."""
    logging.getLogger("lib").warning("sent %s to %s", text, "example.com")

    event = log.lines[0]["event"]
    assert text.split()[-1] not in event
    assert event.startswith("sent ")
    assert event.endswith(f"{MASK} to example.com")


def test_trace_is_masked(log):
    """The texts of exceptions, their causes included, and those of lines of code."""
    try:
        try:
            int(f"password={HIDDEN}")
        except ValueError as error:
            raise ConnectionError(f"amqp://me:{HIDDEN}@queue") from error
    except ConnectionError:
        get_logger("a").exception("failed")

    trace = log.lines[0]["exception"]
    assert HIDDEN not in trace
    assert f"'password={MASK}" in trace
    assert f"ConnectionError: amqp://me:{MASK}@queue" in trace


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:8080/a@b",
        "https://example.com/?q=a:b@c",
        "mailto:ann@example.com",
        "basic authentication is off",
        "Basic YWJjZA==",
        "the bearer is ann",
        "token expired, no password was given; token: none",
        "a=b c:d",
        "key eyJ.a.b",
    ],
)
def test_text_without_a_credential_stays(text):
    """Nothing is masked that only resembles one."""
    assert Redactor(NAMES).text(text) == text


def test_other_values_are_untouched():
    """Numbers, times and texts come out as they went in, lists as lists."""
    fields = {
        "timestamp": "t", "level": "info", "logger": "password", "event": "told",
        "number": 1.5, "none": None, "at": datetime(2026, 1, 1, tzinfo=UTC),
        "list": [1, "a", {"b": [True]}], 7: "c",
    }  # fmt: skip

    assert Redactor(NAMES).fields(fields) == fields
    assert list(Redactor(NAMES).fields(fields)) == list(fields)


def test_words_are_live(log):
    """Other words count at once; without any, only the look of a text does."""
    adapt(LogSettings(redact=["e-mail"]))
    get_logger("a").info("told", e_mail="ann@example.com", token="t")
    adapt(LogSettings(redact=[]))
    get_logger("a").info("told", e_mail="a@b", said="redis://:p@db token=t")

    first, second = log.lines
    assert (first["e_mail"], first["token"]) == (MASK, "t")
    assert (second["e_mail"], second["said"]) == ("a@b", f"redis://:{MASK}@db token=t")


def test_names_of_the_access_line_count_too(log):
    """Its short way is left while one of its names is masked, and taken again."""
    request = {
        "method": "GET", "route": "/", "path": "/", "status": 200, "duration": 0.1,
        "bytes": 1, "client": "10.1.2.3", "request_id": "abc",
    }  # fmt: skip
    access = AccessLog()
    access.write(**request, x_token="t")
    adapt(LogSettings(redact=["client", "route", "timestamp"]))
    access.write(**request, x_token="t")
    adapt(LogSettings())
    access.write(**request)

    first, second, third = log.lines
    assert (first["client"], first["x_token"]) == ("10.1.2.3", MASK)
    assert (second["client"], second["route"], second["x_token"]) == (MASK, MASK, "t")
    assert list(first) == list(second)
    assert second["timestamp"] != MASK
    assert third["client"] == "10.1.2.3"


HOSTILE = [
    "bearer ", "Bearer    ", "basic ", "basic aaaa", "://", "://a:", "://a:b",
    "://a:@", "@://a:b", "eyJ", "eyJaaaaaaaa.", "eyJaaaaaaaa.aaaaaaaa", "token",
    "token=", "token='", 'token="', 'token"  :  ', "token-", "tokentoken=[",
    'password\\"', "api_key-a", ": ", "authorization", "\"'", "=", "[({",
]  # fmt: skip


@pytest.mark.parametrize("part", HOSTILE)
def test_hostile_text_takes_time_that_grows_with_it_alone(part):
    """
    Eight times the 16 KiB take eight times as long, as a rule; were it quadratic, 64
    times, and most often minutes.
    """
    redact = Redactor(NAMES).text

    def fastest(size: int, tries: int) -> float:
        text = "= " + part * (size // len(part))  # or it is not looked into
        times = []
        for _ in range(tries):
            began = time.process_time()
            redact(text)
            times.append(time.process_time() - began)
        return min(times)

    small, large = fastest(16 * 1024, 5), fastest(128 * 1024, 3)

    assert large < max(small, 0.002) * 32
