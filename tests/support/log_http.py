"""Clients of the log by HTTP: records as JSON, and streams of events."""

import base64
import contextlib
import json
from collections.abc import Iterator

import httpx2 as httpx

__all__ = ["RECORDS", "body", "decoded", "following", "produce"]

RECORDS = "/log/records"


def encoded(value: bytes | str) -> str:
    return base64.b64encode(
        value.encode() if isinstance(value, str) else value
    ).decode()


def decoded(record) -> bytes:
    return base64.b64decode(record["value"])


def body(value, key=None, headers=()):
    """A record as it is sent."""
    told = {"value": encoded(value)}
    if key is not None:
        told["key"] = encoded(key)
    if headers:
        told["headers"] = [
            {"name": name, "value": encoded(each)} for name, each in headers
        ]
    return told


def produce(client, *values):
    """Offset of the first of *values*, each a record of one request."""
    answer = client.post(RECORDS, json={"records": [body(each) for each in values]})
    assert answer.status_code == 201, answer.text
    return answer.json()["offset"]


class Following:
    """A stream of events; `events` yields name, id and data of each."""

    def __init__(self, answer):
        self.answer = answer
        self.comments = 0
        self.retry = None

    def records(self) -> Iterator[dict]:
        """Yield records until the stream ends."""
        for name, _, data in self.events():
            if name == "message":
                yield data

    def events(self) -> Iterator[tuple[str, str | None, dict]]:
        fields = {}
        for line in self.answer.iter_lines():
            name, _, value = line.partition(":")
            if line and not name:
                self.comments += 1
            elif name == "retry":
                self.retry = int(value)
            elif line:
                fields[name] = value.strip()
            elif "data" in fields:
                data = json.loads(fields["data"])
                yield fields.get("event", "message"), fields.get("id"), data
                fields = {}


@contextlib.contextmanager
def following(url, *, last=None, path=f"{RECORDS}/follow", timeout=30, **query):
    """Follow the log of the service at *url* until the block ends."""
    headers = {} if last is None else {"last-event-id": str(last)}
    with (
        httpx.Client(base_url=url, timeout=timeout) as client,
        client.stream("GET", path, params=query, headers=headers) as answer,
    ):
        yield Following(answer)
