"""Following the log by Server-Sent Events: resumed, ended, limited, and killed."""

import contextlib
import itertools
import signal
import socket
import threading
import time

import httpx2 as httpx
import pytest

from tests.support.log_http import RECORDS, body, decoded, following, produce
from tests.support.log_service import serving_log
from tests.support.programs import free_port
from tests.support.scrape import await_value, value
from tests.support.waiting import until

FOLLOW = f"{RECORDS}/follow"
FOLLOWERS = "httpserver_commitlog_followers"
TIMED_OUT = 'httpserver_connections_closed_total{reason="write_timeout",server="main"}'


@pytest.fixture
def service(tmp_path):
    with serving_log(
        tmp_path,
        http__enabled="true",
        http__heartbeat=0.2,
        http__max_followers=2,
        server__write_timeout=1,
    ) as running:
        yield running


@pytest.fixture
def client(service):
    with httpx.Client(base_url=service.url, timeout=20) as found:
        yield found


def taken(follower, count):
    return list(itertools.islice(follower.records(), count))


def test_follower_gets_what_is_there_and_what_comes(service, client):
    """From the offset that it names; each record is an event, its offset the id."""
    produce(client, "a", "b")
    with following(service.url, **{"from": 1}) as follower:
        records = follower.events()
        first = next(records)
        produce(client, "c")
        second = next(records)

        assert follower.answer.headers["content-type"] == "text/event-stream"
        assert follower.answer.headers["cache-control"] == "no-store"
    assert [first[1], second[1]] == ["1", "2"]
    assert [decoded(each[2]) for each in (first, second)] == [b"b", b"c"]


def test_follower_that_names_nothing_gets_what_comes(service, client):
    """As `tail -f` does, without what was there."""
    produce(client, "before")
    with following(service.url) as follower:
        produce(client, "after")

        assert [decoded(each) for each in taken(follower, 1)] == [b"after"]


def test_follower_goes_on_after_the_last_event(service, client):
    """`Last-Event-ID` counts for more than where it began."""
    produce(client, *"abc")

    with following(service.url, last=0, **{"from": 0}) as follower:
        assert [each["offset"] for each in taken(follower, 2)] == [1, 2]


@pytest.mark.parametrize(("last", "status"), [("99", 404), ("x", 422), ("-1", 422)])
def test_last_event_that_can_not_be_is_refused(client, last, status):
    """Nobody follows from a wrong place without a word."""
    answer = client.get(FOLLOW, headers={"last-event-id": last})

    assert answer.status_code == status


def test_quiet_stream_has_heartbeats(service, client):
    """Comments, which are no events, and the record when it comes."""
    with following(service.url) as follower:
        lines = follower.answer.iter_lines()
        comments = [each for each in itertools.islice(lines, 8) if each]

    assert comments == [": from 0", ":", ":", ":"]


def test_drain_ends_streams_and_tells_when_to_come_again(service, client):
    """The stream ends whole, the process at once and clean."""
    produce(client, "a")
    with following(service.url, **{"from": 0}) as follower:
        events = follower.events()
        next(events)
        service.signal(signal.SIGTERM)
        rest = list(events)

    assert [(name, data) for name, _, data in rest] == [("end", {"reason": "stopping"})]
    assert 1000 <= follower.retry <= 3000
    assert service.await_exit() == 0


def test_more_followers_than_may_be_are_refused(service):
    """503 with Retry-After; one that leaves makes room."""
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(following(service.url))
        await_value(service, FOLLOWERS, 2)
        refused = httpx.get(service.url + FOLLOW)
    await_value(service, FOLLOWERS, 0)

    assert refused.status_code == 503
    assert refused.json()["reason"] == "too_many_streams"
    assert int(refused.headers["retry-after"]) > 0
    with following(service.url) as follower:
        assert follower.answer.status_code == 200


def test_followers_that_come_together_are_no_more_than_may_be(service):
    """Each has 503, or an end with the reason, but those for whom there is room."""
    asked = f"GET {FOLLOW} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        address = ("127.0.0.1", service.ports["httpserver"])
        crowd = [
            stack.enter_context(socket.create_connection(address, timeout=20))
            for _ in range(40)
        ]
        for each in crowd:
            each.sendall(asked)
        answers = [_until_told(each) for each in crowd]
        following_now = value(service, FOLLOWERS)

    assert sum(b": from" in each for each in answers) == following_now == 2
    assert sum(b"too_many_streams" in each for each in answers) == 38


def _until_told(connection):
    """Return what comes until the stream has begun or been refused."""
    found = b""
    while not (b": from" in found or b"too_many_streams" in found):
        piece = connection.recv(65_536)
        assert piece, found
        found += piece
    return found


def test_follower_that_takes_nothing_is_ended(service, client):
    """By the write time-out of the listener: it keeps no place."""
    with socket.create_connection(("127.0.0.1", service.ports["httpserver"])) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(f"GET {FOLLOW}?from=0 HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        await_value(service, FOLLOWERS, 1)
        for _ in range(12):
            assert client.post(RECORDS, json=body("x" * 900_000)).status_code == 201
        await_value(service, FOLLOWERS, 0)

    assert value(service, TIMED_OUT) == 1


def test_stream_that_lasts_is_no_slow_request(service):
    """Its latency is the time until it began: else alerts of slow routes would fire."""
    asked = time.monotonic()
    with following(service.url) as follower:
        opened = time.monotonic() - asked
        beats = (each for each in follower.answer.iter_lines() if each == ":")
        assert list(itertools.islice(beats, 6))  # of 0.2 seconds each
    series = f'{{method="GET",route="{FOLLOW}",status="200"}}'
    await_value(service, f"http_request_duration_seconds_count{series}", 1)

    assert value(service, f"http_request_duration_seconds_sum{series}") < opened + 1


def test_head_of_a_stream_has_no_body(service):
    """And takes no place among the followers."""
    answer = httpx.head(service.url + FOLLOW)

    assert answer.headers["content-type"] == "text/event-stream"
    assert value(service, FOLLOWERS) == 0


def test_permission_that_is_taken_away_ends_the_stream(tmp_path):
    """Permissions hold from the next look on, not from the next request."""
    config = tmp_path / "config.yaml"
    text = (
        "log_service:\n  access: listed\n  tokens: {app: 'xxxxxxxxxxxxxxxx'}\n"
        "  permissions: {app: {consume: ['*'], produce: ['*']}}\n"
    )
    config.write_text(text)
    token = {"authorization": "Bearer xxxxxxxxxxxxxxxx"}
    with (
        serving_log(
            tmp_path / "log",
            "--config",
            str(config),
            http__enabled="true",
            http__heartbeat=0.2,
        ) as service,
        httpx.Client(base_url=service.url, timeout=20, headers=token) as client,
        client.stream("GET", FOLLOW) as answer,
    ):
        lines = answer.iter_lines()
        next(lines)
        config.write_text(text.replace("consume: ['*'], ", ""))
        rest = list(lines)

    assert 'data: {"reason":"permission_denied"}' in rest


class Producer(threading.Thread):
    """Produces until told to stop; notes what was acknowledged."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url = url
        self.acknowledged = {}
        self.over = threading.Event()

    def run(self):
        numbers = itertools.count()
        with httpx.Client(base_url=self.url) as client:
            while not self.over.is_set():
                number = str(next(numbers)).encode()
                try:
                    answer = client.post(RECORDS, json=body(number))
                except httpx.HTTPError:
                    self.over.wait(0.05)
                    continue
                if answer.status_code == 201:
                    self.acknowledged[answer.json()["offset"]] = number


def followed_until_cut(url, last, found):
    """Add the records after *last* to *found*, until the connection breaks."""
    with contextlib.suppress(httpx.HTTPError), following(url, last=last) as follower:
        found.extend(follower.records())


def killed_after(service, producer, count):
    """Kill the service once so many more records were acknowledged."""
    wanted = len(producer.acknowledged) + count

    def kill():
        until(lambda: len(producer.acknowledged) > wanted)
        service.process.kill()

    killing = threading.Thread(target=kill)
    killing.start()
    return killing


@pytest.mark.parametrize("kills", [1, pytest.param(5, marks=pytest.mark.soak)])
def test_follower_misses_and_repeats_nothing_over_kills(tmp_path, kills):
    """The service is killed while it takes records and gives them."""
    port = str(free_port())
    log, found = tmp_path / "log", [{"offset": 0}]
    producer = Producer(f"http://127.0.0.1:{port}")
    with serving_log(log, "--port", port, http__enabled="true") as service:
        httpx.post(service.url + RECORDS, json=body("first"))
    producer.start()
    for _ in range(kills):
        with serving_log(log, "--port", port, http__enabled="true") as service:
            killing = killed_after(service, producer, 30)
            followed_until_cut(service.url, found[-1]["offset"], found)
            killing.join()
    with serving_log(log, "--port", port, http__enabled="true") as service:
        producer.over.set()
        producer.join()
        end = httpx.get(service.url + "/log/offsets").json()["next"]
        last = found[-1]["offset"]
        with following(service.url, last=last) as follower:
            found += taken(follower, end - 1 - last)

    assert [each["offset"] for each in found] == list(range(end))
    values = {each["offset"]: decoded(each) for each in found[1:]}
    assert producer.acknowledged.items() <= values.items()
    assert len(producer.acknowledged) > 30 * kills
