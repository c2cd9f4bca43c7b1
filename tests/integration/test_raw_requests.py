"""
Raw requests that servers disagree about: each has its answers, none gets two, and the
service answers on.
"""

import json

import pytest

from tests.support.attack import assert_unharmed, attacked
from tests.support.raw_cases import (
    CASES,
    CHUNKED,
    HELLO,
    JSON,
    MALFORMED,
    MARK,
    Case,
    json_post,
    line,
)
from tests.support.raw_http import RawConnection, get, post

REFUSALS = (400, 501, 505)


@pytest.fixture(scope="module")
def service():
    """One service for all cases, so that what one breaks, the next one sees."""
    with attacked() as running:
        yield running
        assert_unharmed(running)


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_raw_request_gets_its_answers_and_no_more(service, case):
    """The answers are those of the table, and the service answers on."""
    port = service.ports["httpserver"]
    with RawConnection(port) as connection:
        connection.send(case.sent)
        answers = receive(connection, case)

        shown = " ".join(str(each.status) for each in answers)
        assert shown in choices(case), (case.sent[:300], answers)
        ending = choices(case)[shown]
        assert_well_formed(answers)
        if ending == "x" and answers[-1].status in REFUSALS:
            assert_refusal(answers[-1])
        if ending == "x" or answers[-1].headers.get("connection") == "close":
            assert connection.await_end(), case.sent[:300]
        elif ending != "?":
            assert_in_step(connection)
    assert_answers(port)


def choices(case: Case) -> dict[str, str]:
    """Return the answers that a case may get, with how the connection goes on."""
    found = {}
    for choice in case.expected.split(" or "):
        statuses = choice.rstrip("x?")
        found[statuses] = choice[len(statuses) :]
    return found


def receive(connection: RawConnection, case: Case):
    """Return as many answers as the longest choice has, or those that come."""
    most = max(each.count(" ") + 1 for each in choices(case))
    head = case.sent.startswith(b"HEAD")
    if not case.then:
        return connection.answers(most, head=head)
    first = connection.answers(1)
    connection.send(case.then)
    return first + connection.answers(most - 1)


def assert_well_formed(answers) -> None:
    """No answer hides another one, and an error tells itself as problem+json."""
    for answer in answers:
        assert b"HTTP/1.1 " not in answer.body
        assert answer.status < 500 or answer.status in REFUSALS
        if answer.status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert json.loads(answer.body)["status"] == answer.status


def assert_refusal(answer) -> None:
    """What the protocol refuses, it says to be the end of the connection."""
    assert answer.headers["connection"] == "close"
    assert "content-length" in answer.headers


def assert_in_step(connection: RawConnection) -> None:
    """The next request on the connection gets the next answer, and that alone."""
    connection.send(get(b"/hello?name=" + MARK, b"Connection: close"))
    answer = connection.answer()
    assert (answer.status, MARK in answer.body) == (200, True), answer
    assert connection.await_end()


def assert_answers(port: int) -> None:
    """A normal request on a new connection is answered."""
    with RawConnection(port) as connection:
        assert_in_step(connection)


def test_methods_that_are_not_there_name_those_that_are(service):
    """OPTIONS, 405 and TRACE tell the methods in `Allow`."""
    with RawConnection(service.ports["httpserver"]) as connection:
        for method in (b"OPTIONS", b"TRACE", b"POST", b"PURGE"):
            connection.send(line(method + b" /hello HTTP/1.1"))
            answer = connection.answer()

            assert answer.headers["allow"] == "GET, HEAD, OPTIONS", method


def test_head_tells_the_length_of_get_and_sends_nothing(service):
    """HEAD has the headers of GET; the next answer follows at once."""
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(line(b"HEAD /hello HTTP/1.1"))
        head = connection.answer(head=True)
        connection.send(get())
        full = connection.answer()

    assert head.headers["content-length"] == str(len(full.body))


def test_pipelined_requests_are_answered_in_order(service):
    """The slow first one is not overtaken."""
    paths = [b"/delay/0.3", *(b"/hello?name=n%d" % n for n in range(4))]
    with RawConnection(service.ports["httpserver"]) as connection:
        connection.send(b"".join(get(path) for path in paths))
        first, *others = connection.answers(5)

    assert json.loads(first.body) == {"delay": 0.3}
    assert [each.body for each in others] == [b"Hello, n%d!\n" % n for n in range(4)]


@pytest.mark.parametrize("name", MALFORMED)
def test_refused_json_is_not_echoed(service, name):
    """A refusal tells what is wrong, not what was sent."""
    body = MALFORMED[name].replace(b"name", b"sEcReT")
    with RawConnection(service.ports["httpserver"]) as connection:
        for path in (b"/json", b"/typed/model"):
            connection.send(json_post(path, body, JSON))
            answer = connection.answer()

            assert answer.status in (400, 422)
            assert b"sEcReT" not in answer.body


@pytest.mark.parametrize("cut", [1, 7, 20])
def test_request_in_pieces_is_the_same_request(service, cut):
    """Where the network cuts a request makes no difference."""
    whole = post(CHUNKED, body=HELLO) + get(b"/hello?name=" + MARK)
    with RawConnection(service.ports["httpserver"]) as connection:
        for start in range(0, len(whole), cut):
            connection.send(whole[start : start + cut])
        first, second = connection.answers(2)

    assert json.loads(first.body)["text"] == "hello"
    assert MARK in second.body
