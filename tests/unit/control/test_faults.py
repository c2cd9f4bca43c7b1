"""The filter that injects faults: which requests, what it does, how often."""

import json

import pytest

from service.control.faults import Injector
from service.control.state import ControlState, Fault, FaultRule
from service.server.around import Around
from service.server.routes import Route
from tests.support.asgi import application, client

FOREVER = 4e9


def fault(name="f1", **rule):
    return Fault(id=name, expires_at=FOREVER, **rule)


class Bench:
    """One injector before three routes."""

    def __init__(self, *faults, sleep=None):
        self.counted = []
        self.slept = []
        self.handled = []
        self.injector = Injector(count=self.counted.append, sleep=self.sleep)
        self.put(*faults)
        self.http = client(
            application(
                Route(path="/users/{id:[0-9]+}", handler=self.handle),
                Route(path="/hello", handler=self.handle, methods=("GET", "POST")),
                Route(path="/livez", handler=self.handle, probe=True),
                extra=[Around(self.injector.enter)],
            )
        )

    def put(self, *faults):
        self.injector.update(ControlState(), ControlState(faults=faults))

    async def handle(self, ctx):
        self.handled.append(ctx.path)
        return ctx.ok({})

    async def sleep(self, seconds):
        self.slept.append(seconds)


async def test_status_is_answered_instead_of_the_handler():
    """The answer is a problem that names its fault; the handler does not run."""
    bench = Bench(fault(status=503))

    answer = await bench.http.get("/hello")

    assert answer.status_code == 503
    assert answer.headers["x-fault-injected"] == "f1"
    assert answer.headers["content-type"] == "application/problem+json"
    assert bench.handled == []
    assert bench.counted == ["status"]


async def test_delay_is_waited_before_the_handler():
    """A delay alone still answers, and says that it was no accident."""
    bench = Bench(fault(delay={"distribution": "fixed", "seconds": 0.7}))

    answer = await bench.http.get("/hello")

    assert answer.status_code == 200
    assert answer.headers["x-fault-injected"] == "f1"
    assert bench.slept == [0.7]
    assert bench.counted == ["delay"]


async def test_faults_add_up_until_one_ends_the_request():
    """Each has its own chance; what answers ends the line."""
    slow = fault("slow", delay={"distribution": "fixed", "seconds": 0.7})
    bench = Bench(slow, fault("broken", status=500), fault("never", status=502))

    answer = await bench.http.get("/hello")

    assert answer.status_code == 500
    assert answer.headers.get_list("x-fault-injected") == ["slow", "broken"]
    assert bench.counted == ["delay", "status"]


async def test_probes_are_never_hit():
    """A fault must not make the kubelet restart the pod."""
    bench = Bench(fault(status=503))

    assert (await bench.http.get("/livez")).status_code == 200


@pytest.mark.parametrize(
    ("scope", "hit"),
    [
        ({}, {"/hello", "/users/1", "/nowhere"}),
        ({"route": "/hello"}, {"/hello"}),
        ({"route": "/users/*"}, {"/users/1"}),
        ({"route": "/users/{id:[0-9]+}"}, {"/users/1"}),
        ({"route": "/users/1"}, set()),
        ({"route": "/h?llo"}, {"/hello"}),
        ({"methods": ["POST"]}, set()),
        ({"methods": ["GET", "POST"], "route": "/hello"}, {"/hello"}),
        ({"header": {"name": "X-Canary"}}, {"/hello", "/users/1", "/nowhere"}),
        ({"header": {"name": "x-canary", "value": "yes"}, "route": "/h*"}, {"/hello"}),
        ({"header": {"name": "x-canary", "value": "no"}}, set()),
        ({"header": {"name": "x-other"}}, set()),
    ],
    ids=lambda each: str(sorted(each)),
)
async def test_scope_decides_which_requests_are_hit(scope, hit):
    """Route template, method and header; all of them must match."""
    rule = FaultRule.model_validate_json(json.dumps({"status": 418, "scope": scope}))
    bench = Bench(fault(status=rule.status, scope=rule.scope))

    found = set()
    for path in ("/hello", "/users/1", "/nowhere"):
        answer = await bench.http.get(path, headers={"x-canary": "yes"})
        if answer.status_code == 418:
            found.add(path)

    assert found == hit


@pytest.mark.parametrize(
    ("rate", "requests"), [(0.0, 100), (0.1, 500), (0.5, 500), (1.0, 100)]
)
async def test_rate_is_the_share_of_requests_that_are_hit(rate, requests):
    """With a seed, within three percent points; all or none hit without exception."""
    bench = Bench(fault(rate=rate, status=503, seed=42))

    answers = [await bench.http.get("/hello") for _ in range(requests)]

    share = sum(answer.status_code == 503 for answer in answers) / len(answers)
    assert share == pytest.approx(rate, abs=0.03 if 0 < rate < 1 else 0)
    assert len(bench.counted) == share * len(answers)


async def test_seed_repeats_the_run():
    """The same seed hits the same requests."""
    runs = []
    for seed in (1, 1, 2):
        bench = Bench(fault(rate=0.5, status=503, seed=seed))
        runs.append([(await bench.http.get("/hello")).status_code for _ in range(64)])

    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


async def test_fault_that_stays_keeps_its_chances_when_another_comes():
    """A change of the list does not begin a seeded run anew."""
    first = fault(rate=0.5, status=503, seed=1)
    whole, parted = Bench(first), Bench(first)

    expected = [(await whole.http.get("/hello")).status_code for _ in range(40)]
    found = [(await parted.http.get("/hello")).status_code for _ in range(20)]
    parted.put(first, fault("f2", rate=0.0, status=500))
    found += [(await parted.http.get("/hello")).status_code for _ in range(20)]

    assert found == expected


async def test_without_faults_requests_pass():
    """The last fault that goes leaves nothing behind."""
    bench = Bench(fault(status=503))
    bench.put()

    answer = await bench.http.get("/hello")

    assert answer.status_code == 200
    assert "x-fault-injected" not in answer.headers
    assert bench.counted == []
