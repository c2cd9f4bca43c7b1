"""One attempt, without a socket: what ends it."""

import pytest

from service.errors import ContentTooLarge
from service.proxy.attempt import Attempt
from service.server.reading import too_large
from service.settings.proxy import ProxyTimeouts
from tests.support.upstream_connection import MemoryUpstream

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Upload:
    """
    A request whose body comes in two pieces, of which the second is too large.

    Args:
        answer: What the upstream says in the same turn of the loop.
    """

    head = b"POST / HTTP/1.1\r\n\r\n"
    has_body = True
    expects = switches = False

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    async def opening(self) -> tuple[bytes, bool]:
        return b"", True

    async def pump(self, connection, timeouts, *, opened) -> None:
        connection.data_received(self._answer)
        raise too_large(0)


def asked(attempt, request):
    """Ask, within any time."""
    return attempt.ask(
        request, tried=(), fresh=False, mute=False, ends_at=1e9, watched=None
    )


@pytest.mark.parametrize("body", [b"", b"o"], ids=["head", "head and half"])
async def test_refused_body_goes_before_the_head_of_the_same_moment(body):
    """The client is told that its body is too large: no answer has begun yet."""
    attempt = Attempt(MemoryUpstream(), ProxyTimeouts())

    with pytest.raises(ContentTooLarge):
        await asked(attempt, Upload(HEAD + body))


async def test_whole_answer_goes_before_a_refused_body():
    """The upstream has said all it has to say of a request like that."""
    attempt = Attempt(MemoryUpstream(), ProxyTimeouts())

    head = await asked(attempt, Upload(HEAD + b"ok"))

    assert head.status == 200
    assert await attempt.connection.piece() == b"ok"
