"""Where the network cuts the bytes of requests changes nothing."""

import asyncio
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.memory_connection import Answer, MemoryConnection, request

BODIES = st.binary(max_size=40)

REQUESTS = st.builds(
    lambda target, headers, method, content, last: request(
        target, *headers, *last, method=method, **content
    ),
    st.sampled_from(["/", "/a", "/caf%C3%A9?q=1&r=%20", "/a//b", "http://b/x"]),
    st.lists(st.sampled_from(["x-one: 1", "X-Two:   2  ", "accept: */*"]), max_size=3),
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE"]),
    st.just({})
    | BODIES.map(lambda body: {"body": body})
    | st.lists(BODIES.filter(bool), max_size=4).map(lambda chunks: {"chunks": chunks}),
    st.just(()) | st.just(("connection: keep-alive",)),
)

CUTS = st.lists(st.integers(0, 1_500), max_size=12) | st.integers(1, 7)
"""Places to cut at, or one size of all pieces."""


class App:
    """Keeps the requests as it sees them, and answers with them."""

    def __init__(self) -> None:
        self.seen: list[tuple] = []

    async def __call__(self, scope, receive, send) -> None:
        body, more = b"", True
        while more:
            event = await receive()
            body += event["body"]
            more = event["more_body"]
        seen = (scope["method"], scope["path"], scope["headers"], body)
        self.seen.append((*seen, scope["query_string"], scope["raw_path"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": repr(seen).encode()})


def pieces(raw: bytes, cuts: list[int] | int) -> list[bytes]:
    if isinstance(cuts, int):
        return [raw[at : at + cuts] for at in range(0, len(raw), cuts)]
    places = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    return [raw[begin:end] for begin, end in pairwise(places) if end > begin]


async def exchanged(fed: list[bytes], *, slowly: bool) -> tuple[list, list[Answer]]:
    """Return what the application saw and the client got."""
    app = App()
    connection = MemoryConnection(app)
    if slowly:
        await connection.send(*fed)
    else:
        connection.feed(*fed)
    seen = -1
    while seen != len(app.seen):
        seen = len(app.seen)
        await connection.settle()
    methods = [each[0] for each in app.seen]
    answers = connection.answers(*methods)
    for each in answers:
        del each.headers["date"]
    assert not connection.ends
    return app.seen, answers


@given(st.lists(REQUESTS, min_size=1, max_size=5), CUTS, st.booleans())
def test_requests_in_any_pieces_are_the_same_exchanges(requests, cuts, slowly):
    """Fed whole, byte by byte or cut anywhere: same requests, same answers."""
    raw = b"".join(requests)

    whole = asyncio.run(exchanged([raw], slowly=True))
    cut = asyncio.run(exchanged(pieces(raw, cuts), slowly=slowly))

    assert len(whole[0]) == len(whole[1]) == len(requests)
    assert cut == whole


def stack(many: int, length: int, chunked: bool) -> list[bytes]:
    """Return so many small requests and one with a body of *length* behind them."""
    body = bytes(length)
    content = {"chunks": [body]} if chunked else {"body": body}
    return [*[request("/a")] * many, request("/b", method="POST", **content)]


STACKS = st.tuples(st.integers(0, 50), st.integers(1, 40_000), st.booleans())


@settings(max_examples=50)
@given(st.lists(STACKS, min_size=1, max_size=4), CUTS | st.integers(10_000, 40_000))
def test_more_requests_than_may_wait_are_the_same_exchanges(stacks, cuts):
    """Whether bytes are put off here or with the client: each request is answered."""
    requests = [each for one in stacks for each in stack(*one)]
    fed = pieces(b"".join(requests), max(cuts, 500) if isinstance(cuts, int) else cuts)

    alone = asyncio.run(exchanged(requests, slowly=True))
    together = asyncio.run(exchanged(fed, slowly=False))

    assert len(alone[0]) == len(alone[1]) == len(requests)
    assert together == alone
