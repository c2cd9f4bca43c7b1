"""The fan-out with backends that a test decides: order, bounds, failures, deadlines."""

import asyncio
import json
import time

import pytest

from service.app import create_app
from service.client.errors import InvalidRequest, UpstreamTimeout
from service.fan_out.assembly import FanOut
from service.fan_out.calling import Backends
from service.fan_out.hops import Budget, budget
from service.fan_out.tree import MAX_DEPTH, MAX_NODES, all_failed, grafted
from service.resilience.bulkhead import Bulkhead
from service.resilience.events import ignore
from service.server.context import RequestContext
from service.server.responses import json_bytes
from service.settings import FanOutSettings, Settings
from tests.support.asgi import client


class Answered:
    """An answer with a status and what its body says."""

    def __init__(self, status=200, body=None):
        self.status = status
        self.body = body

    def json(self):
        if self.body is None:
            raise ValueError
        return self.body


class Bench:
    """Backends that answer by name, and how many were asked at once."""

    def __init__(self, *, room=100, observe=ignore, **answers):
        self.answers = answers
        self.headers = []
        self.now = self.most = 0
        self.backends = Backends(self._call, in_flight=Bulkhead(room), observe=observe)

    async def _call(self, url, headers, seconds):
        self.now += 1
        self.most = max(self.most, self.now)
        self.headers.append((headers, seconds))
        for _ in range(3):
            await asyncio.sleep(0)
        self.now -= 1
        answer = self.answers.get(url, Answered())
        if isinstance(answer, asyncio.Event):
            await answer.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def ask(self, *urls, hops=0, deepest=False, concurrency=8, timeout=2.0):
        budget = Budget(hops, timeout, granted=2.0, deepest=deepest)
        return await self.backends.ask([*urls], budget, concurrency=concurrency)


async def test_all_are_called_at_once_and_told_in_order():
    """Whoever answers first."""
    bench = Bench()
    urls = [f"u{n}" for n in range(20)]
    told = await bench.ask(*urls, concurrency=5)

    assert [each["url"] for each in told] == urls
    assert bench.most == 5
    assert {each["status"] for each in told} == {200}


async def test_failures_are_told_in_their_place():
    """A time-out, an answer that is none, an error, something that is no tree."""
    late = UpstreamTimeout("late", service="a", reason="read_timeout")
    told = await Bench(
        a=late, b=InvalidRequest("no"), c=Answered(503, {"name": "c"}), d=Answered()
    ).ask("a", "b", "c", "d")

    assert [each.get("error") for each in told] == [
        "timeout",
        "invalid",
        "status",
        None,
    ]
    assert told[2]["name"] == "c"
    assert told[2]["status"] == 503


async def test_no_more_calls_than_there_is_room_for():
    """What is above fails at once."""
    told = await Bench(room=2).ask("a", "b", "c")

    assert [each.get("error") for each in told] == [None, None, "full"]


async def test_callees_get_less_time_and_one_hop_more():
    """So that each level can tell of the one below."""
    bench = Bench()
    await bench.ask("a", hops=1, timeout=2.0)
    (headers, seconds) = bench.headers[0]

    assert headers["x-fan-out-hops"] == "2"
    assert 0 < float(headers["x-fan-out-timeout"]) < seconds <= 2.0


async def test_request_in_a_hurry_is_the_end_of_a_call_and_not_its_time():
    """What the client is told to allow is what it may hold against the backend."""
    bench = Bench(a=asyncio.Event())
    [told] = await bench.ask("a", timeout=0.05)
    (headers, seconds) = bench.headers[0]

    assert told["error"] == "timeout"
    assert told["duration"] < 2.0
    assert float(headers["x-fan-out-timeout"]) < 0.05
    assert 0.05 < seconds <= 2.0


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 502), ({"x-fan-out-timeout": "1.0"}, 200)]
)
async def test_request_in_a_hurry_makes_no_instance_look_broken(headers, status):
    """What stands before it would leave it alone; the tree tells what failed."""
    late = UpstreamTimeout("late", service="a", reason="timeout")
    settings = FanOutSettings(backends=["http://a"], timeout=2.0)
    tree = FanOut(
        lambda: settings, backends=Bench(**{"http://a": late}).backends, identity={}
    )
    answer = await client(tree.tell).get("/", headers=headers)

    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.json()["error"] == "backends"
    assert [each["error"] for each in answer.json()["children"]] == ["timeout"]


async def test_without_time_nobody_is_called():
    """The time is over before the call."""
    bench = Bench()
    told = await bench.ask("a", timeout=0.0)

    assert (told[0]["error"], bench.headers) == ("timeout", [])


async def test_deepest_level_calls_nobody():
    """And that is no failure."""
    bench = Bench()
    told = await bench.ask("a", deepest=True)

    assert bench.headers == []
    assert told == [{"url": "a", "error": "hops", "children": []}]
    assert not all_failed(told)


def test_answer_of_a_callee_is_taken_with_care():
    """Known members of their kinds, so long and so many."""
    hostile = {
        "name": "x" * 1000,
        "status": True,
        "duration": "1",
        "more": 1,
        "children": [{"host": 1}, "no"] * MAX_NODES,
    }
    told = grafted(hostile)

    assert set(told) == {"name", "children"}
    assert len(told["name"]) == 200
    assert len(told["children"]) == MAX_NODES - 1
    assert grafted("text") == {}


def nested(depth):
    """A tree of so many levels."""
    tree = {"name": f"{depth}"}
    for level in reversed(range(1, depth)):
        tree = {"name": f"{level}", "children": [tree]}
    return tree


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"name": "a\\ud800b"}', "a?b"),
        (json.dumps(nested(130)).encode(), "1"),
    ],
    ids=["surrogate", "deep"],
)
def test_what_is_taken_of_a_callee_can_be_told(body, name):
    """What only JSON of others can hold spoils no answer of ours."""
    told = grafted(json.loads(body))

    assert json.loads(json_bytes(told))["name"] == name


@pytest.mark.parametrize(
    "number", ["NaN", "-Infinity", "1e999", "9" * 400, "true", '"1"']
)
def test_number_that_not_all_can_read_is_not_taken(number):
    """Neither what JSON has not, nor what is no time and no status."""
    told = grafted(json.loads(f'{{"status": {number}, "duration": 0.5}}'))

    assert told == {"duration": 0.5, "children": []}


def test_tree_of_a_callee_is_taken_so_deep():
    """What is below is left out."""
    told, names = grafted(nested(MAX_DEPTH + 1)), []
    while True:
        names.append(told["name"])
        if not told["children"]:
            break
        [told] = told["children"]

    assert names == [f"{level}" for level in range(1, MAX_DEPTH + 1)]


def test_nothing_called_is_nothing_failed():
    """A leaf is well."""
    assert not all_failed([])
    assert all_failed([{"error": "connect"}])
    assert not all_failed([{"error": "connect"}, {"status": 200}])


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("hops", "-1", 400),
        ("hops", "1e3", 400),
        ("hops", "3", 200),
        ("hops", "4", 508),
        ("timeout", "nan", 400),
        ("timeout", "-1", 400),
        ("timeout", "1.5", 200),
    ],
)
async def test_headers_of_the_caller_are_bounds(header, value, status):
    """What makes no sense is refused, and what is too deep."""
    app = create_app(Settings(fan_out=FanOutSettings(enabled=True)))
    headers = {f"x-fan-out-{header}": value}

    assert (await client(app).get("/fan-out", headers=headers)).status_code == status


@pytest.mark.parametrize(
    ("left", "least", "most"),
    [(None, 2.0, 2.0), (60.0, 2.0, 2.0), (1.0, 0.8, 0.9), (-1.0, 0.0, 0.0)],
)
def test_calls_end_before_the_request_does(left, least, most):
    """So that what became of them can still be told."""
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    ctx = RequestContext(scope, None, None, body_limit=0)
    ctx.deadline = None if left is None else time.monotonic() + left

    allowed = budget(ctx, FanOutSettings(timeout=2.0)).timeout
    assert least <= allowed <= most


async def test_node_that_stands_in_for_an_answer_is_told():
    """With the backend's failure; one that answers is not."""
    events = []
    late = UpstreamTimeout("late", service="a", reason="read_timeout")
    await Bench(observe=events.append, a=late).ask("a", "b")

    [event] = events
    assert (event.pattern, event.name, event.event) == ("fallback", "fan_out", "used")


async def test_fan_out_is_not_there_by_default():
    """It calls others, so somebody has to want it."""
    assert (await client(create_app()).get("/fan-out")).status_code == 404
