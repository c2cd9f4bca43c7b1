"""The sample routes, with chance and time decided by the test."""

import pytest

from service.settings import DemoSettings, FlagSettings
from tests.support.demo import DemoBench


async def test_root_waits_a_uniform_delay_and_measures_it():
    """A program waits what was drawn between the settings' bounds."""
    bench = DemoBench(delay_min=1, delay_max=2)

    answer = await bench.client.get("/", headers={"x-request-id": "r1"})

    assert answer.json() == {
        "delay": 1.5,
        "host": "here",
        "version": "1.2.3",
        "request_id": "r1",
    }
    assert bench.drawn == [(1, 2)]
    assert bench.slept == bench.observed == [1.5]


async def test_root_without_random_delay_answers_at_once():
    """The flag is read for each request."""
    bench = DemoBench()
    await bench.client.get("/")
    bench.flags = FlagSettings(random_delay=False)

    answer = await bench.client.get("/")

    assert answer.json()["delay"] == 0
    assert bench.observed == [1.0]


async def test_hello_greets():
    """Text, with a name if there is one."""
    client = DemoBench().client

    assert (await client.get("/hello")).text == "Hello, World!\n"
    assert (await client.get("/hello?name=J%C3%BCrgen")).text == "Hello, Jürgen!\n"


async def test_version_tells_what_is_running():
    """Name, version, interpreter, host and admin port."""
    answer = (await DemoBench().client.get("/version")).json()

    assert set(answer) == {"name", "version", "python", "host", "admin_port"}
    assert answer["name"] == "demo"
    assert answer["admin_port"] == 9090


@pytest.mark.parametrize("text", ["0", "10", "0.25", ".5", "3."])
async def test_delay_waits_as_told(text):
    """Seconds up to the limit are waited."""
    bench = DemoBench()

    answer = await bench.client.get(f"/delay/{text}")

    assert answer.json() == {"delay": float(text)}
    assert bench.slept == [float(text)]


@pytest.mark.parametrize(
    "text",
    [
        "-1",
        "10.001",
        "nan",
        "inf",
        "1e1",
        "1_0",
        "x",
        "1..2",
        "%D9%A1",
        "9" * 400,
        "%00",
    ],
)
async def test_delay_that_can_not_be_waited_is_refused(text):
    """400, and nothing is waited."""
    bench = DemoBench()

    answer = await bench.client.get(f"/delay/{text}")

    assert answer.status_code == 400
    assert not bench.slept


async def test_delay_limit_is_live():
    """A new limit holds for the next request."""
    bench = DemoBench()
    bench.settings = DemoSettings(delay_limit=1)

    assert (await bench.client.get("/delay/2")).status_code == 400


@pytest.mark.parametrize("code", [200, 201, 299, 302, 404, 418, 503, 599])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_status_is_answered_as_told(code, method):
    """Any final status, by any method, with a body that repeats it."""
    answer = await DemoBench().client.request(method, f"/status/{code}")

    assert answer.status_code == code
    assert answer.json()["status"] == code


@pytest.mark.parametrize("code", [204, 205, 304])
async def test_status_without_body_has_none(code):
    """What must be empty is."""
    answer = await DemoBench().client.get(f"/status/{code}")

    assert answer.status_code == code
    assert answer.content == b""


@pytest.mark.parametrize("code", ["100", "199", "600", "0", "20", "2000", "x", "-200"])
async def test_status_that_is_none_is_refused(code):
    """Interim statuses and junk get 400."""
    assert (await DemoBench().client.get(f"/status/{code}")).status_code == 400
