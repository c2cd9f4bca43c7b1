"""The feature in the whole service, in memory: who is refused, and with what words."""

import asyncio
import json
import time
from dataclasses import replace

import httpx2
import pytest
import structlog

from service.app import create_service
from service.config import SettingsStore
from service.overload.throttling import address_key
from service.server.routes import Route
from tests.support.demo import HASHER, KEY
from tests.support.settings_files import only

PROBLEM = "application/problem+json"


class Bench:
    """The service by settings that may change, with a route that waits to be let go."""

    def __init__(self, folder, **settings):
        self._file = folder / "config.yaml"
        self._write(settings)
        self.store = SettingsStore(only(config=self._file))
        self.service = create_service(self.store)
        self.entered = asyncio.Semaphore(0)
        self.let_go = asyncio.Event()
        hold = Route(path="/hold", handler=self._hold, part="demo")
        self.service.app.add(
            hold,
            replace(hold, path="/high", priority="high"),
            replace(hold, path="/low", priority="low"),
            replace(hold, path="/other", part="other"),
            Route(path="/fails", handler=self._fail, part="demo"),
        )

    def _write(self, settings):
        text = json.dumps({"demo": {"delay_max": 0}} | settings, default=str)
        self._file.write_text(text)

    def reload(self, **settings):
        self._write(settings)
        self.store.reload()

    async def _hold(self, ctx):
        self.entered.release()
        await self.let_go.wait()
        return ctx.no_content()

    async def _fail(self, ctx):
        raise ZeroDivisionError

    def client(self, address="192.0.2.1", app=None):
        transport = httpx2.ASGITransport(
            app=app or self.service.app, client=(address, 1)
        )
        return httpx2.AsyncClient(transport=transport, base_url="http://test")

    async def get(self, path, address="192.0.2.1", **options):
        async with self.client(address) as client:
            return await client.get(path, **options)

    async def held(self, *paths):
        """Begin a request to each path; return their tasks when all are within."""
        tasks = [asyncio.create_task(self.get(path)) for path in paths]
        for _ in paths:
            await self.entered.acquire()
        return tasks

    def refusals(self, reason):
        lines = self.service.metrics.render("")[0].decode().splitlines()
        name = "httpserver_overload_refusals_total{"
        found = [each for each in lines if each.startswith(name) and reason in each]
        return sum(float(each.rsplit(" ", 1)[1]) for each in found)


@pytest.fixture
def bench(tmp_path):
    return lambda **settings: Bench(tmp_path, **settings)


# -- throttle ----------------------------------------------------------------------

THROTTLE = {"enabled": True, "rate": 0.01, "burst": 3}


async def test_client_above_its_rate_gets_429(bench):
    """With the seconds to wait, in the one form of all errors."""
    service = bench(throttle=THROTTLE)

    answers = [await service.get("/hello") for _ in range(4)]

    assert [each.status_code for each in answers] == [200, 200, 200, 429]
    refused = answers[-1]
    assert refused.headers["content-type"] == PROBLEM
    assert 95 <= int(refused.headers["retry-after"]) <= 100
    assert refused.headers["ratelimit"].startswith('"default";r=0;t=')
    assert service.refusals("throttle") == 1


async def test_every_answer_tells_what_is_left(bench):
    """In the two headers of the draft, errors of the route included."""
    service = bench(throttle={"enabled": True, "rate": 2, "burst": 10})

    answers = [await service.get("/hello"), await service.get("/nowhere")]

    assert {each.headers["ratelimit-policy"] for each in answers} == {
        '"default";q=10;w=5'
    }
    left = [each.headers["ratelimit"] for each in answers]
    assert left == ['"default";r=9;t=1', '"default";r=8;t=1']


async def test_clients_have_rates_of_their_own(bench):
    """One that asks too much takes nothing from another."""
    service = bench(throttle=THROTTLE | {"burst": 1})
    addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1"]

    codes = [(await service.get("/hello", each)).status_code for each in addresses]

    assert codes == [200] * 4
    for same in ("192.0.2.1", "::ffff:192.0.2.1", "2001:db8::2"):
        assert (await service.get("/hello", same)).status_code == 429


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "20010db800010002"),
        ("fe80::1%eth0", "fe80000000000000"),
        ("", ""),
        ("no:address", "no:address"),
    ],
)
def test_address_of_a_client_is_its_key(address, key):
    """A network of 64 bits for IPv6, since each client has one."""
    assert address_key(address) == key


async def test_probes_are_never_throttled(bench):
    """The kubelet has one address and much to ask."""
    service = bench(throttle=THROTTLE)

    answers = [await service.get("/livez") for _ in range(5)]

    assert {each.status_code for each in answers} == {200}
    assert "ratelimit" not in answers[0].headers


async def test_throttle_is_off_by_default_and_on_by_reload(bench):
    """No headers and no limit without it; new limits hold at once."""
    service = bench()
    assert "ratelimit" not in (await service.get("/hello")).headers

    service.reload(throttle=THROTTLE | {"burst": 1})
    assert (await service.get("/hello")).status_code == 200
    assert (await service.get("/hello")).status_code == 429

    service.reload(throttle=THROTTLE | {"burst": 2})
    assert (await service.get("/hello")).status_code == 200


async def test_user_of_a_real_token_is_the_client(bench):
    """Whatever the address; who has no valid token is known by the address."""
    service = bench(
        throttle=THROTTLE | {"burst": 2, "key": "user"},
        login={
            "users": {"ann": HASHER.hash("secret")},
            "token_key": KEY.get_secret_value(),
        },
    )
    async with service.client("192.0.2.9") as client:
        fields = {"username": "ann", "password": "secret"}
        token = (await client.post("/user/login", json=fields)).json()["access_token"]
    ann = {"authorization": f"Bearer {token}"}

    async def codes(*requests):
        return [
            (await service.get("/hello", address, headers=headers)).status_code
            for address, headers in requests
        ]

    assert await codes(("192.0.2.1", ann), ("192.0.2.2", ann)) == [200, 200]
    assert await codes(("192.0.2.3", ann), ("192.0.2.3", {})) == [429, 200]
    forged = {"authorization": f"Bearer {token}x"}
    assert await codes(("192.0.2.3", forged), ("192.0.2.3", forged)) == [200, 429]


# -- load shedding -----------------------------------------------------------------


async def test_more_than_the_limit_gets_503_at_once(bench):
    """With the seconds of the setting, and room again when one has left."""
    service = bench(overload={"max_in_flight": 2, "retry_after": 2.5})
    held = await service.held("/high", "/high")

    shed = await service.get("/high")
    service.let_go.set()
    await asyncio.gather(*held)

    assert shed.status_code == 503
    assert shed.headers["content-type"] == PROBLEM
    assert shed.headers["retry-after"] == "3"
    assert (await service.get("/high")).status_code == 204
    assert service.refusals('"in_flight"') == 1


async def test_low_is_shed_first_and_high_last(bench):
    """At a half, nine tenths and all of the limit."""
    service = bench(overload={"max_in_flight": 10})

    def begun(count):
        return service.held(*["/high"] * count)

    await begun(5)
    assert (await service.get("/low")).status_code == 503
    await begun(4)
    assert (await service.get("/hello")).status_code == 503
    await begun(1)
    assert (await service.get("/high")).status_code == 503
    assert (await service.get("/livez")).status_code == 200
    service.let_go.set()


async def test_probes_do_not_count(bench):
    """However many of them are asked at once."""
    service = bench(overload={"max_in_flight": 1})

    answers = await asyncio.gather(*(service.get("/livez") for _ in range(20)))

    assert {each.status_code for each in answers} == {200}
    assert (await service.get("/hello")).status_code == 200


async def test_failure_of_a_handler_leaves_its_room(bench):
    """What ends with an error is in flight no more."""
    service = bench(overload={"max_in_flight": 1, "bulkheads": {"demo": 1}})

    codes = [(await service.get("/fails")).status_code for _ in range(3)]

    assert codes == [500] * 3


async def test_request_that_waited_too_long_is_shed_under_overload(bench):
    """By the time at which the listener read it."""
    service = bench()
    began = time.perf_counter()

    async def late(scope, receive, send):
        scope["httpserver.received"] = began - 3.0
        await service.service.app(scope, receive, send)

    async with service.client(app=late) as client:
        answers = []
        while not (answers and answers[-1].status_code == 503):
            assert time.perf_counter() < began + 60
            answers.append(await client.get("/hello"))
            await asyncio.sleep(0.01)

    assert {each.status_code for each in answers[:-1]} == {200}
    assert answers[-1].headers["retry-after"] == "1"
    assert service.refusals('"delay"') == 1
    assert (await service.get("/hello")).status_code == 200


async def test_new_limit_takes_effect_by_reload(bench):
    """Down and up again."""
    service = bench()
    await service.held("/high", "/high")

    service.reload(overload={"max_in_flight": 2})
    assert (await service.get("/hello")).status_code == 503
    service.reload(overload={"max_in_flight": 0})
    assert (await service.get("/hello")).status_code == 200
    service.let_go.set()


# -- bulkheads ---------------------------------------------------------------------


async def test_full_part_gets_503_and_others_do_not(bench):
    """One part that hangs leaves the rest alone."""
    service = bench(overload={"bulkheads": {"demo": 2}, "retry_after": 7})
    held = await service.held("/hold", "/hold")

    refused = await service.get("/hello")
    other = await service.held("/other")
    service.let_go.set()
    codes = [each.status_code for each in await asyncio.gather(*held, *other)]

    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "7"
    assert codes == [204] * 3
    assert (await service.get("/hello")).status_code == 200
    assert service.refusals("bulkhead") == 1


async def test_bulkhead_is_live(bench):
    """Set, changed and taken away while requests are in flight."""
    service = bench()
    service.reload(overload={"bulkheads": {"demo": 1}})
    await service.held("/hold")
    assert (await service.get("/hello")).status_code == 503

    service.reload(overload={"bulkheads": {"demo": 2}})
    assert (await service.get("/hello")).status_code == 200
    service.reload(overload={})
    assert (await service.get("/hello")).status_code == 200
    service.let_go.set()


async def test_unknown_part_is_named_with_those_there_are(bench):
    """At the start and at a reload that brings one."""
    service = bench(overload={"bulkheads": {"dmeo": 1, "demo": 1}})
    part = next(each for each in service.service.parts if each.name == "overload")

    with structlog.testing.capture_logs() as lines:
        await part.start()
        await part.stop()
        service.reload(overload={"bulkheads": {"wbe": 1}})

    warnings = [each for each in lines if each["event"] == "bulkheads_unknown"]
    assert [each["parts"] for each in warnings] == [["dmeo"], ["wbe"]]
    assert {"demo", "web"} <= set(warnings[0]["known"])


async def test_limit_and_clients_are_measured(bench):
    """With each beat."""
    service = bench(throttle=THROTTLE, overload={"max_in_flight": 77})
    await service.get("/hello")
    part = next(each for each in service.service.parts if each.name == "overload")
    await part.start()
    await part.stop()

    exposition = service.service.metrics.render("")[0].decode()

    assert "httpserver_in_flight_limit 77.0" in exposition
    assert "httpserver_throttle_clients 1.0" in exposition
