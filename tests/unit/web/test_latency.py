"""`/latency`, as the page asks for it."""

import pytest

from service.app import create_service
from service.config import SettingsStore
from service.settings import DemoSettings, FlagSettings, Settings
from tests.support.asgi import client


def service(**fields):
    return create_service(SettingsStore.of(Settings(**fields)))


async def test_latency_of_the_root_is_told():
    """What programs and browsers got at `/` is counted, and nothing else."""
    http = client(service(demo=DemoSettings(delay_max=0)).app)
    await http.get("/")
    await http.get("/", headers={"accept": "text/html"})
    await http.get("/hello")
    answer = await http.get("/latency")
    told = answer.json()

    assert told["since_start"]["count"] == sum(told["since_start"]["counts"]) == 2
    assert len(told["since_start"]["counts"]) == len(told["bounds"]) + 1
    assert 0 < told["since_start"]["p99"] < told["bounds"][-1]
    assert told["host"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("demo", "flags", "scale"),
    [
        (DemoSettings(delay_max=3), FlagSettings(), 3.0),
        (DemoSettings(), FlagSettings(random_delay=False), None),
        (DemoSettings(enabled=False), FlagSettings(), None),
    ],
)
async def test_scale_is_the_longest_delay_where_there_is_one(demo, flags, scale):
    """The page has axes that fit before the first request."""
    http = client(service(demo=demo, flags=flags).app)

    assert (await http.get("/latency")).json()["scale"] == scale


async def test_latency_that_is_switched_off_is_not_found():
    """The flag takes it away."""
    http = client(service(flags=FlagSettings(latency=False)).app)
    answer = await http.get("/latency")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_latency_is_described():
    """It is in the OpenAPI document."""
    document = (await client(service().app).get("/openapi.json")).json()

    assert "/latency" in document["paths"]
