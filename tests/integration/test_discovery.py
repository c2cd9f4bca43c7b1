"""Discovery in the running service: a file that changes, leases, the control view."""

import httpx2
import pytest

from tests.support.cluster import await_value
from tests.support.control import TOKEN, VARIABLE, controlled
from tests.support.process import serving
from tests.support.redis_server import redis_server

AUTH = {"authorization": f"Bearer {TOKEN}"}


def services(process):
    answer = httpx2.get(f"{process.admin_url}/control/discovery", headers=AUTH)
    return answer.raise_for_status().json()["services"]


def addresses(process, service):
    return [each["address"] for each in services(process)[service]["endpoints"]]


def test_file_is_followed_and_shown(tmp_path):
    """What stands in the file is what operators see, also after a change."""
    file = tmp_path / "services.yaml"
    file.write_text("shop: ['10.0.0.1:80']\n")
    with controlled(discovery__file=str(file)) as process:
        before = addresses(process, "shop")
        file.write_text("shop: ['10.0.0.1:80', '10.0.0.2:80']\n")
        await_value(lambda: addresses(process, "shop"), lambda found: len(found) == 2)
        file.write_text("shop: nonsense\n")
        line = process.await_event("discovery_source_lost", service="shop")
        after = services(process)["shop"]

    assert before == ["10.0.0.1:80"]
    assert len(after["endpoints"]) == 2
    assert "line 1" in line["reason"]
    assert "line 1" in after["failing"]


@pytest.fixture
def store():
    with redis_server() as running:
        yield running


def test_instance_registers_while_it_is_ready(store):
    """One service leases its place, another one finds it; a stop gives it back."""
    secret = {"HTTPSERVER_DISCOVERY__LEASES__STORE": store.url}
    announced = {
        "discovery__announce__service": "shop",
        "discovery__announce__address": "127.0.0.1:8080",
        "discovery__zone": "here",
    }
    watching = {
        "discovery__services": '{"shop": {"source": "leases", "required": true}}',
        "discovery__leases__interval": "0.1",
    }
    operated = {VARIABLE: TOKEN, **secret}
    control = {"server__admin__control__enabled": True}
    with serving(environment=operated, **control, **watching) as watcher:
        with serving(environment=secret, **announced) as instance:
            (found,) = await_value(lambda: services(watcher)["shop"]["endpoints"], bool)
            instance.signal(15)
            await_value(lambda: addresses(watcher, "shop"), lambda them: not them)
            code = instance.await_exit()

    assert (found["address"], found["zone"]) == ("127.0.0.1:8080", "here")
    assert code == 0


def test_service_that_is_required_and_not_heard_keeps_it_unready():
    """Readiness tells which, liveness does not care."""
    secret = {"HTTPSERVER_DISCOVERY__LEASES__STORE": "redis://127.0.0.1:9/0"}
    required = '{"shop": {"source": "leases", "required": true}}'
    with serving(environment=secret, discovery__services=required) as process:
        ready = httpx2.get(f"{process.admin_url}/readyz?verbose")
        live = httpx2.get(f"{process.admin_url}/livez")

    assert ready.status_code == 503
    assert "shop" in ready.text
    assert live.status_code == 200
