"""A notification to all recipients: each gets it once, whatever it takes."""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx2

from service.observability.logging import get_logger
from service.settings import SmsSettings
from service.sms.budget import Budget
from service.sms.memory import Delivery, Memory
from service.sms.notifications import Notification
from service.sms.provider import (
    Message,
    Provider,
    ProviderBusy,
    ProviderError,
    Refused,
)
from service.sms.texts import compose

__all__ = ["Outcome", "Postman"]

LOGGER = "service.sms"
"""Name of the logger that has a line for each message."""


@dataclass(slots=True)
class Outcome:
    """
    What came of one notification.

    Attributes:
        results: Recipients by result: `sent`, `suppressed`, `refused`, `throttled`,
            `failed`.
        wait: Seconds until there is room for another message in the hour, if there is
            none now.
        pause: Seconds that the provider wants to be left alone, if it does.
    """

    results: Counter[str] = field(default_factory=Counter)
    wait: float = 0.0
    pause: float = 0.0


class Postman:
    """
    Takes notifications to the recipients.

    Args:
        settings: Gives the settings as they are now.
        provider: What sends one message.
        count: Told the result of each message.
        clock: Gives the time in seconds; it must not go backwards.

    Concurrency:
        For one event loop. Attempts for the same notification run one after another.
    """

    def __init__(
        self,
        settings: Callable[[], SmsSettings],
        *,
        provider: Provider,
        count: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._provider = provider
        self._count = count
        self._clock = clock
        self._memory = Memory(clock)
        self._budget = Budget(lambda: settings().max_per_hour, clock=clock)
        self._quiet_until = 0.0
        self._log = get_logger(LOGGER)

    async def deliver(self, notification: Notification) -> Outcome:
        """Send *notification* to everybody who has not got it."""
        settings = self._settings()
        delivery = self._memory.of(notification.identity)
        text = compose(notification, limit=settings.max_characters)
        outcome = Outcome()
        async with delivery.lock, self._provider.connected() as client:
            await asyncio.gather(
                *(
                    self._one(client, to, text, delivery, outcome)
                    for to in dict.fromkeys(settings.recipients)
                )
            )
        if not outcome.results.keys() & {"failed", "throttled"}:
            self._memory.finish(delivery)
        return outcome

    async def _one(
        self,
        client: httpx2.AsyncClient,
        to: str,
        text: str,
        delivery: Delivery,
        outcome: Outcome,
    ) -> None:
        """Send to one recipient, and keep what came of it wherever it is asked for."""
        result, reason = "sent", ""
        if to in delivery.done:
            result = "suppressed"
        elif wait := self._budget.take():
            result, outcome.wait = "throttled", max(outcome.wait, wait)
        else:
            message = Message(to=to, text=text, key=_key(delivery, to))
            try:
                await self._send(client, message)
                delivery.done.add(to)
            except ProviderError as error:
                result = "refused" if isinstance(error, Refused) else "failed"
                reason = error.reason
                self._note(error, outcome)
        outcome.results[result] += 1
        self._count(result)
        self._tell(result, to, text, reason)

    def _note(self, error: ProviderError, outcome: Outcome) -> None:
        if isinstance(error, ProviderBusy):
            outcome.pause = max(outcome.pause, error.pause)
        if not error.perhaps_sent:
            self._budget.give_back()

    async def _send(self, client: httpx2.AsyncClient, message: Message) -> None:
        """Send, unless the provider wants to be left alone."""
        pause = self._quiet_until - self._clock()
        if pause > 0:
            raise ProviderBusy("paused", pause=pause)
        try:
            await self._provider.send(client, message)
        except ProviderBusy as busy:
            self._quiet_until = self._clock() + busy.pause
            raise

    def _tell(self, result: str, to: str, text: str, reason: str) -> None:
        """Write the line; the number is known by its end to whoever knows it."""
        write = self._log.info if result in {"sent", "suppressed"} else self._log.error
        fields = {"result": result, "to": f"…{to[-2:]}", "characters": len(text)}
        write("text_message", **fields | ({"reason": reason} if reason else {}))


def _key(delivery: Delivery, to: str) -> str:
    return hashlib.sha256(f"{delivery.nonce} {to}".encode()).hexdigest()
