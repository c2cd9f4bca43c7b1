"""Idempotency keys: work is done once, whoever asks how often and when."""

import asyncio

import pytest

from service.errors import BadRequest, RequestError, TooManyRequests, Unprocessable
from service.server.context import RequestContext
from service.server.idempotency import Idempotency


class Bench:
    """Work that counts, time that a test decides."""

    def __init__(self, *, most: int = 10):
        self.now = 0.0
        self.ttl = 60.0
        self.done = 0
        self.go = asyncio.Event()
        self.go.set()
        self.fails = False
        self.keys: Idempotency[int] = Idempotency(
            ttl=lambda: self.ttl, max_keys=lambda: most, clock=lambda: self.now
        )

    async def work(self) -> int:
        await self.go.wait()
        if self.fails:
            raise RuntimeError("no")
        self.done += 1
        return self.done

    async def ask(self, *keys: str, body: bytes = b"", user: str = "", path: str = "/"):
        headers = [(b"idempotency-key", key.encode()) for key in keys]
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
        ctx = RequestContext(scope, None, None, body_limit=0)
        return await self.keys.once(ctx, self.work, fingerprint=body, user=user)


async def test_first_outcome_is_told_again():
    """And marked."""
    bench = Bench()
    first, second = await bench.ask("a"), await bench.ask("a")

    assert (first.value, first.replayed) == (1, False)
    assert (second.value, second.replayed) == (1, True)


async def test_quoted_and_bare_key_are_the_same():
    """The draft's string and the token that many clients send."""
    bench = Bench()
    await bench.ask('"a"')

    assert (await bench.ask("a")).replayed


async def test_without_a_key_each_is_done():
    """Nothing is kept."""
    bench = Bench()

    assert [(await bench.ask()).value for _ in range(2)] == [1, 2]
    assert len(bench.keys) == 0


@pytest.mark.parametrize("other", [{"user": "ann"}, {"path": "/other"}])
async def test_key_of_another_caller_or_route_is_another(other):
    """Nobody gets what belongs to somebody else."""
    bench = Bench()
    await bench.ask("a")

    assert (await bench.ask("a", **other)).replayed is False


async def test_same_key_with_another_request_is_refused():
    """422."""
    bench = Bench()
    await bench.ask("a", body=b"1")

    with pytest.raises(Unprocessable):
        await bench.ask("a", body=b"2")


async def test_hundred_at_once_do_it_once():
    """The others are told to come back, and then get the first one's answer."""
    bench = Bench()
    bench.go.clear()
    asked = [asyncio.create_task(bench.ask("a")) for _ in range(100)]
    await asyncio.sleep(0)
    bench.go.set()
    found = await asyncio.gather(*asked, return_exceptions=True)
    refused = [each for each in found if isinstance(each, RequestError)]

    assert bench.done == 1
    assert {each.status for each in refused} == {409}
    assert {each.headers["retry-after"] for each in refused} == {"1"}
    assert len(refused) == 99
    assert (await bench.ask("a")).replayed


@pytest.mark.parametrize("how", ["fails", "cancelled"])
async def test_what_was_not_done_may_be_tried_again(how):
    """A failure keeps no key."""
    bench = Bench()
    bench.go.clear()
    asked = asyncio.create_task(bench.ask("a"))
    await asyncio.sleep(0)
    if how == "fails":
        bench.fails = True
        bench.go.set()
    else:
        asked.cancel()
    await asyncio.wait([asked])
    bench.fails = False
    bench.go.set()

    assert (await bench.ask("a")).value == 1


async def test_key_is_forgotten_after_its_time():
    """Then it is done anew."""
    bench = Bench()
    await bench.ask("a")
    bench.now = 59.9
    assert (await bench.ask("a")).replayed
    bench.now = 60.0

    assert (await bench.ask("a")).value == 2
    assert len(bench.keys) == 1


async def test_more_keys_than_there_is_room_for_are_refused():
    """To forget one early would let its work be done twice."""
    bench = Bench(most=2)
    await bench.ask("a")
    bench.now = 30.0
    await bench.ask("b")
    with pytest.raises(TooManyRequests):
        await bench.ask("c")
    assert (await bench.ask("a")).replayed
    bench.now = 60.0
    await bench.ask("c")

    assert len(bench.keys) == 2


async def test_what_is_over_makes_room_wherever_it_stands():
    """A shorter time to live, set while the service runs, may end a later key first."""
    bench = Bench(most=2)
    await bench.ask("a")
    bench.ttl = 10.0
    await bench.ask("b")
    bench.now = 20.0
    await bench.ask("c")

    assert (await bench.ask("a")).replayed
    assert len(bench.keys) == 2


@pytest.mark.parametrize(
    "keys", [("",), ('""',), ("a b",), ('"a',), ("x" * 256,), ("ä",), ("a", "a")]
)
async def test_key_that_is_none_is_refused(keys):
    """400, and nothing is done."""
    bench = Bench()

    with pytest.raises(BadRequest):
        await bench.ask(*keys)
    assert bench.done == 0
