"""Instances that call each other: the tree they tell, whatever happens to one."""

import json
import os
import signal
import time

import httpx2

from tests.support.process import serving

QUICK = {
    "server__drain_delay": 0,
    "fan_out__enabled": "true",
    "fan_out__timeout": 20,
    "demo__delay_max": 0,
}


def instance(name, *backends, **settings):
    """An instance that calls *backends*."""
    own = {"server__name": name, "fan_out__backends": json.dumps(list(backends))}
    return serving(**QUICK | own | settings)


def place(service):
    """Where its tree is; its name is the name of its listener."""
    (port,) = [n for name, n in service.ports.items() if not name.endswith("-admin")]
    return f"http://127.0.0.1:{port}/fan-out"


def ask(service, **options):
    return httpx2.get(place(service), timeout=60, **options)


def names(node):
    """The tree as names, with what went wrong."""
    told = node.get("name") or "?"
    if "error" in node:
        told += f"!{node['error']}"
    return (told, [names(each) for each in node["children"]])


def test_three_instances_tell_their_tree():
    """The first calls two, one of them the other one and something that is no tree."""
    with instance("leaf") as leaf:
        hello = place(leaf).replace("fan-out", "hello")
        with instance("middle", place(leaf), hello) as middle:
            with instance("root", place(middle), place(leaf)) as root:
                answer = ask(root, headers={"x-request-id": "one-request"})
                seen = [
                    line["request_id"]
                    for service in (root, middle, leaf)
                    for line in [service.await_event("request", route="/fan-out")]
                ]
    tree = answer.json()
    middle_node = tree["children"][0]

    assert answer.status_code == 200
    assert names(tree) == (
        "root",
        [("middle", [("leaf", []), ("?", [])]), ("leaf", [])],
    )
    assert seen == ["one-request"] * 3
    assert middle_node["status"] == middle_node["children"][1]["status"] == 200
    assert tree["duration"] >= middle_node["duration"] >= middle_node["own_duration"]
    assert {"host", "version", "url", "start"} <= set(middle_node)


def test_killed_instance_is_shown_in_its_place():
    """The others are there, and the status is 200; 502 with the tree when all fail."""
    with instance("a") as a, instance("b") as b:
        with instance("root", place(a), place(b)) as root:
            a.signal(signal.SIGKILL)
            a.await_exit()
            one = ask(root)
            b.signal(signal.SIGKILL)
            b.await_exit()
            none = ask(root)

    assert one.status_code == 200
    assert names(one.json()) == ("root", [("?!connect", []), ("b", [])])
    assert none.status_code == 502
    assert names(none.json())[0] == "root!backends"
    assert [each["error"] for each in none.json()["children"]] == ["connect"] * 2


def test_instance_that_hangs_costs_no_more_than_the_time_out():
    """Who called it says so, in time for the level above to hear of it."""
    with instance("stuck") as stuck, instance("fine") as fine:
        with instance("middle", place(stuck), place(fine)) as middle:
            with instance("root", place(middle)) as root:
                ask(root)
                os.kill(stuck.process.pid, signal.SIGSTOP)
                began = time.monotonic()
                answer = ask(root)
                took = time.monotonic() - began
                os.kill(stuck.process.pid, signal.SIGCONT)

    assert answer.status_code == 200
    assert names(answer.json()) == (
        "root",
        [("middle", [("?!timeout", []), ("fine", [])])],
    )
    assert took < 15  # the client gives up before the 20 s that each would wait


def test_loop_ends_at_the_deepest_level(tmp_path):
    """An instance that calls itself answers a tree of so many levels."""
    config = tmp_path / "config.yaml"
    config.write_text("fan_out: {enabled: true}\n")
    settings = {key: value for key, value in QUICK.items() if "fan_out" not in key}
    with serving("--config", str(config), **settings, fan_out__max_hops=2) as service:
        backends = json.dumps([place(service)])
        config.write_text(f"fan_out: {{enabled: true, backends: {backends}}}\n")
        service.await_event("settings_reloaded")
        answer = ask(service)
        beyond = ask(service, headers={"x-fan-out-hops": "3"})
    name = answer.json()["name"]

    assert answer.status_code == 200
    assert names(answer.json()) == (
        name,
        [(name, [(name, [("?!hops", [])])])],
    )
    assert beyond.status_code == 508
    assert beyond.headers["content-type"] == "application/problem+json"


def test_tree_is_told_before_the_request_is_cut():
    """A backend that hangs is a node of its own, not a 504 without a tree."""
    with instance("leaf") as leaf:
        slow = place(leaf).replace("fan-out", "delay/10")
        hello = place(leaf).replace("fan-out", "hello")
        with instance("root", slow, hello, server__request_timeout=5.0) as root:
            answer = ask(root)

    assert answer.status_code == 200
    assert names(answer.json()) == ("root", [("?!timeout", []), ("?", [])])
    assert answer.json()["duration"] < 5.0


def test_callers_in_a_hurry_close_no_way_to_a_backend():
    """A stranger's header says nothing of how well a backend is."""
    with instance("leaf") as leaf:
        slow = place(leaf).replace("fan-out", "delay/0.2")
        with instance("root", slow, client__breaker_minimum_calls=2) as root:
            hurry = {"x-fan-out-timeout": "0.05"}
            hasty = [ask(root, headers=hurry).json() for _ in range(4)]
            patient = ask(root)

    assert [names(tree)[1] for tree in hasty] == [[("?!timeout", [])]] * 4
    assert names(patient.json())[1] == [("?", [])]


def test_backend_that_takes_longer_than_the_settings_grant_is_left_alone():
    """That is its own failure."""
    with instance("leaf") as leaf:
        slow = place(leaf).replace("fan-out", "delay/10")
        settings = {"fan_out__timeout": 0.1, "client__breaker_minimum_calls": 2}
        with instance("root", slow, **settings) as root:
            told = [names(ask(root).json())[1] for _ in range(3)]

    assert told == [
        [("?!timeout", [])],
        [("?!timeout", [])],
        [("?!circuit_open", [])],
    ]
