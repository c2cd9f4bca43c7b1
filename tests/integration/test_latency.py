"""`/latency` of the running service: what looks cost, and who may look how often."""

import httpx2

from tests.support.process import serving


def test_looks_of_pages_do_not_fill_the_access_log():
    """An answer has no line; a refusal, which somebody may look for, has one."""
    with serving(flags__random_delay="false") as service:
        with httpx2.Client(base_url=service.url, timeout=60) as client:
            told = client.get("/latency")
            wrong = client.post("/latency")
            client.get("/hello")
        service.await_event("request", path="/hello")
        lines = service.events("request")

    assert (told.status_code, wrong.status_code) == (200, 405)
    assert [(line["path"], line["status"]) for line in lines] == [
        ("/latency", 405),
        ("/hello", 200),
    ]


def test_throttle_counts_looks_as_any_other_request():
    """Who asks too often is told when to come back."""
    limits = {"throttle__enabled": "true", "throttle__rate": 0.1, "throttle__burst": 3}
    with serving(**limits) as service:
        with httpx2.Client(base_url=service.url, timeout=60) as client:
            answers = [client.get("/latency") for _ in range(6)]

    refused = [each for each in answers if each.status_code == 429]
    assert [each.status_code for each in answers[:3]] == [200, 200, 200]
    assert refused
    assert int(refused[0].headers["retry-after"]) >= 1
