"""
The webhook: a notification in, an answer out that tells Alertmanager what to do.

It tries again at once after 5xx, with growing pauses, and after anything else but 2xx
when its `group_interval` is over. So 5xx is for what may pass, and never for what it
sent.
"""

from service.errors import RequestError, TooManyRequests, Unavailable, retry_after
from service.server.context import RequestContext
from service.server.responses import Response
from service.sms.delivery import Outcome, Postman
from service.sms.notifications import read

__all__ = ["Gateway"]

BAD_GATEWAY = 502


class Gateway:
    """
    The handler of `POST /alerts/sms`.

    Args:
        postman: Takes notifications to the recipients.

    Concurrency:
        For the admin port's event loop.
    """

    def __init__(self, postman: Postman) -> None:
        self._postman = postman

    async def handle(self, ctx: RequestContext) -> Response:
        """
        Send the notification of the body.

        Raises:
            RequestError: Not everybody has got it who should (502, 503, 429), or the
                body is no notification (400, 413, 415, 422).
        """
        outcome = await self._postman.deliver(await read(ctx))
        failure = _failure(outcome)
        if failure is not None:
            raise failure
        return ctx.ok({"results": dict(outcome.results)})


def _failure(outcome: Outcome) -> RequestError | None:
    """Return what Alertmanager is told when it should try again."""
    results = outcome.results
    extensions = {"results": dict(results)}
    if outcome.pause:
        return Unavailable(
            "The provider asks for a pause.",
            headers=retry_after(outcome.pause),
            extensions=extensions,
        )
    # nobody at all: the sender or the numbers are wrong, and somebody has to know
    nobody = results["refused"] and not results.keys() & {"sent", "suppressed"}
    if results["failed"] or (nobody and not results["throttled"]):
        return RequestError(
            "The provider did not take every message.",
            status=BAD_GATEWAY,
            extensions=extensions,
        )
    if results["throttled"]:
        return TooManyRequests(
            "There were as many messages in this hour as there may be.",
            headers=retry_after(outcome.wait),
            extensions=extensions,
        )
    return None
