"""Addresses that are typed, and replicas that answer, fail, hang and come back."""

import threading

import pytest

from service.observability.reading import read_exposition
from service.top.fleet import Fleet
from service.top.scrape import BadTarget, NotMetrics, Scrape, Unreachable, target_url

TEXT = "# TYPE http_requests_total counter\nhttp_requests_total 5\n"


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("127.0.0.1:9090", "http://127.0.0.1:9090/metrics"),
        ("localhost", "http://localhost/metrics"),
        ("http://h:1/", "http://h:1/metrics"),
        ("https://h/a/metrics?name[]=x#y", "https://h/a/metrics?name[]=x"),
        ("[::1]:9090", "http://[::1]:9090/metrics"),
    ],
)
def test_target_is_completed(typed, url):
    """Scheme and path are filled in where they are missing."""
    assert target_url(typed) == url


@pytest.mark.parametrize(
    "typed",
    [
        *["", "ftp://h/x", "file:///etc/passwd", "http://", "h:0", "h:99999", "h:x"],
        *["http://[::1", "h/a b", "h/\x1b[2J"],
    ],
)
def test_target_that_is_none_is_refused(typed):
    """Nothing but http and https, a host, a port that there is."""
    with pytest.raises(BadTarget):
        target_url(typed)


@pytest.mark.parametrize(
    "typed", ["http://ann:pa-ss@h:1/m", "ann:pa-ss@h:x", "pa-ss@h"]
)
def test_target_with_a_password_is_refused_without_it(typed):
    """The view shows its target, and whoever looks over one's shoulder sees it."""
    with pytest.raises(BadTarget, match="user and password") as caught:
        target_url(typed)

    assert "pa-ss" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["<html></html>", "ok", '{"a": 1}', "a b c", 'a{b="c} 1', "a{b=c} 1"]
)
def test_other_text_is_no_exposition(text):
    """A page, a word or JSON is told apart."""
    with pytest.raises(ValueError, match="Prometheus' text format"):
        read_exposition(text)


class FakeReplica:
    """Answers what the test put there, in turn."""

    def __init__(self, *answers, url="http://a/metrics"):
        self.url = url
        self.answers = list(answers)

    def scrape(self):
        answer = self.answers.pop(0)
        if isinstance(answer, threading.Event):
            answer.wait()
            raise Unreachable("late")
        if isinstance(answer, Exception):
            raise answer
        return Scrape(*answer)


def told(at, count):
    return at, read_exposition(TEXT.replace("5", str(count)))


async def test_replica_that_was_away_is_compared_with_its_next_scrape():
    """What it did while it was away is not squeezed into one interval."""
    answers = [told(0, 5), Unreachable("gone"), told(60, 1000), told(62, 1010)]
    fleet = Fleet([FakeReplica(*answers)])
    looks = [await fleet.look() for _ in answers]

    assert [each.answered for each in looks] == [1, 0, 1, 1]
    assert [each.measured for each in looks] == [False, False, False, True]
    assert [each.overview.rate for each in looks] == [0, 0, 0, 5]
    assert looks[1].problems == {"http://a/metrics": "gone"}
    assert looks[1].wrong == frozenset()


async def test_one_replica_that_is_lost_leaves_the_others():
    """It is named, and the sums go on."""
    well = FakeReplica(told(0, 0), told(1, 7))
    other = FakeReplica(told(0, 0), NotMetrics("a page"), url="http://b/metrics")
    fleet = Fleet([well, other])
    await fleet.look()
    look = await fleet.look()

    assert (look.answered, look.replicas, look.overview.rate) == (1, 2, 7)
    assert look.wrong == {"http://b/metrics"}


async def test_replica_that_hangs_is_asked_once():
    """Looks go on at their time-out, and its threads do not pile up."""
    release = threading.Event()
    replica = FakeReplica(release, told(9, 1))
    fleet = Fleet([replica], timeout=0.2)
    looks = [await fleet.look(), await fleet.look()]
    left = len(replica.answers)
    release.set()

    assert [each.problems for each in looks] == [
        {"http://a/metrics": "no answer in time"}
    ] * 2
    assert left == 1
