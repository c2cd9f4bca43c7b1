"""Services that are written down, and a file of them that changes."""

import json

import pytest

from service.discovery.addresses import BadEndpoint, endpoint_of, split_address
from service.discovery.model import Endpoint, UnknownService
from service.discovery.static import BadFile, StaticRegistry, read_services
from tests.support.discovery import Heard, endpoints
from tests.support.waiting import fulfilled


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1:80", ("10.0.0.1", 80)),
        ("shop.example:8080", ("shop.example", 8080)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_address_is_host_and_port(text, expected):
    """Names, IPv4, IPv6 in brackets."""
    assert split_address(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "shop",
        ":80",
        "shop:",
        "shop:0",
        "shop:65536",
        "shop:99999999999",
        "::1:80",
        "[::1]",
        "[]:80",
        "[shop]:80",
        "sh op:80",
        "http://shop:80",
        "u@shop:80",
        "a:٣",
    ],
)
def test_what_is_no_address_is_refused(text):
    """Anything else is told, not guessed at."""
    with pytest.raises(BadEndpoint):
        split_address(text)


def test_mapping_tells_more_of_an_endpoint():
    """Zone, weight and priority stand beside the address."""
    found = endpoint_of({"address": "a:1", "zone": "z", "weight": 2, "priority": 3})

    assert found == Endpoint("a", 1)
    assert (found.zone, found.weight, found.priority) == ("z", 2.0, 3)


@pytest.mark.parametrize(
    "written",
    [
        None,
        80,
        ["a:1"],
        {},
        {"zone": "z"},
        {"address": 5},
        {"address": "a:1", "port": 2},
        {"address": "a:1", "zone": 1},
        {"address": "a:1", "weight": 0},
        {"address": "a:1", "weight": float("nan")},
        {"address": "a:1", "weight": True},
        {"address": "a:1", "weight": "2"},
        {"address": "a:1", "priority": -1},
    ],
    ids=str,
)
def test_what_is_no_endpoint_is_refused(written):
    """Wrong kinds, unknown keys and values out of bounds."""
    with pytest.raises(BadEndpoint):
        endpoint_of(written)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("- a:1", "mapping"),
        ("shop: a:1", "line 1"),
        ("shop:\n  - a:1\nbank:\n  - a:x", "line 3"),
        ("shop: []\nshop: []", "line 2: shop stands there twice"),
        ("shop: [", "line"),
        ("5: []", "line 1"),
        ("\xff", "line"),
    ],
)
def test_file_of_another_form_is_refused(content, reason):
    """The line is told."""
    with pytest.raises(BadFile, match=reason):
        read_services(content.encode("latin-1"))


def test_json_is_read_as_well():
    """Whoever writes JSON writes YAML."""
    content = json.dumps({"shop": ["10.0.0.1:80"], "bank": []}).encode()

    assert read_services(content) == {"shop": endpoints(1), "bank": ()}


async def test_file_that_changes_is_followed(tmp_path):
    """New endpoints, a new service, one that goes, one that the settings expect."""
    file = tmp_path / "services.yaml"
    file.write_text("shop: ['10.0.0.1:80']\nbank: ['b:1']\n")
    registry = StaticRegistry(
        {"fixed": endpoints(3)}, file=file, expected=["bank"], interval=0.2
    )
    await registry.start()
    try:
        before = [registry.endpoints(each) for each in ("shop", "bank", "fixed")]
        file.write_text("post: ['10.0.0.1:80', '10.0.0.2:80']\nfixed: []\n")
        await fulfilled(lambda: "post" in registry.known.services)
        await registry.check()
    finally:
        await registry.stop()

    assert before == [endpoints(1), (Endpoint("b", 1),), endpoints(3)]
    assert registry.endpoints("post") == endpoints(2)
    assert registry.endpoints("bank") == ()
    assert registry.endpoints("fixed") == endpoints(3)
    with pytest.raises(UnknownService):
        registry.endpoints("shop")


@pytest.mark.parametrize("broken", ["", "shop: 5", "{", None])
async def test_broken_file_keeps_the_old(tmp_path, broken):
    """A file that is half written, wrong or gone changes nothing, and is told once."""
    heard = Heard()
    file = tmp_path / "services.yaml"
    file.write_text("shop: ['10.0.0.1:80']\n")
    registry = StaticRegistry(file=file, observer=heard, interval=0.05)
    await registry.start()
    try:
        if broken is None:
            file.unlink()
        else:
            file.write_text(broken)
        await fulfilled(lambda: registry.known.failing("shop"))
        during = registry.endpoints("shop")
        file.write_text("shop: ['10.0.0.1:80']\n")
        await fulfilled(lambda: not registry.known.failing("shop"))
    finally:
        await registry.stop()

    firsts = [each for each in heard.told if each[0] == "failed" and each[-1]]
    assert during == registry.endpoints("shop") == endpoints(1)
    assert len(firsts) == 1
    assert heard.told.count(("changed", "shop", 0, 1)) == 1


async def test_file_that_is_not_there_yet_is_waited_for(tmp_path):
    """The part starts without it, unready, and takes it when it comes."""
    file = tmp_path / "later" / "services.yaml"
    registry = StaticRegistry(file=file, expected=["shop"], interval=0.05)
    await registry.start()
    try:
        with pytest.raises(Exception, match="shop"):
            await registry.check()
        file.parent.mkdir()
        file.write_text("shop: ['10.0.0.1:80']\n")
        await fulfilled(lambda: registry.endpoints("shop"))
        await registry.check()
    finally:
        await registry.stop()
