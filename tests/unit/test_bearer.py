"""A bearer token: asked for, compared as it is now, and no game to guess."""

import pytest
from pydantic import SecretStr

from service.bearer import ATTEMPTS, REFILL_RATE, Guard
from service.server.routes import Route
from tests.support.asgi import application, client

TOKEN = "sixteen-or-more-characters"
RIGHT = {"authorization": f"Bearer {TOKEN}"}
WRONG = {"authorization": "Bearer sixteen-or-more-characterX"}


class Bench:
    def __init__(self):
        self.token = SecretStr(TOKEN)
        self.now = 0.0
        self.refused = []
        guard = Guard(
            "control",
            token=lambda: self.token,
            count=self.refused.append,
            clock=lambda: self.now,
        )
        route = Route(path="/control", handler=self.handle)
        self.http = client(application(guard.protect(route)))

    async def handle(self, ctx):
        return ctx.ok("in")

    async def ask(self, headers):
        return await self.http.get("/control", headers=headers)


async def test_token_opens():
    """The scheme's case does not matter, and the answer is not kept by caches."""
    bench = Bench()

    answers = [
        await bench.ask(RIGHT),
        await bench.ask({"authorization": f"bearer   {TOKEN}"}),
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].headers["cache-control"] == "no-store"
    assert bench.refused == []


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "missing"),
        ({"authorization": "Bearer"}, "missing"),
        ({"authorization": "Bearer  "}, "missing"),
        ({"authorization": f"Basic {TOKEN}"}, "missing"),
        ({"authorization": TOKEN}, "missing"),
        (WRONG, "wrong"),
        ({"authorization": f"Bearer {TOKEN[:-1]}"}, "wrong"),
        ({"authorization": f"Bearer {TOKEN}x"}, "wrong"),
        ({"authorization": f"Bearer {TOKEN} {TOKEN}"}, "wrong"),
        ({"authorization": "Bearer \xff\xfe".encode("latin-1")}, "wrong"),
    ],
    ids=str,
)
async def test_missing_or_wrong_token_is_401(headers, reason):
    """401 with the scheme, counted, without an echo of what was sent."""
    bench = Bench()

    answer = await bench.ask(headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="control"'
    assert TOKEN[:-1] not in answer.text
    assert bench.refused == [reason]


async def test_changed_token_takes_effect_at_once():
    """The old token is worth nothing after a rotation."""
    bench = Bench()
    bench.token = SecretStr("another-token-of-some-length")

    assert (await bench.ask(RIGHT)).status_code == 401
    bench.token = None
    assert (await bench.ask(RIGHT)).status_code == 401


async def test_guessing_is_slowed_down_and_then_even_the_right_token_waits():
    """Else a guesser's right one among ten million would get in."""
    bench = Bench()
    for _ in range(int(ATTEMPTS)):
        assert (await bench.ask(WRONG)).status_code == 401

    blocked = await bench.ask(RIGHT)
    bench.now += 1 / REFILL_RATE
    later = await bench.ask(RIGHT)

    assert blocked.status_code == 429
    assert blocked.headers["retry-after"] == "6"
    assert later.status_code == 200
    assert bench.refused == ["wrong"] * int(ATTEMPTS) + ["throttled"]


async def test_right_tokens_are_never_throttled():
    """Whoever holds the token may ask as often as it likes, a typing error aside."""
    bench = Bench()
    await bench.ask(WRONG)

    answers = [await bench.ask(RIGHT) for _ in range(100)]

    assert {answer.status_code for answer in answers} == {200}
