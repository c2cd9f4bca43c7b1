"""
A provider of text messages by its HTTP API: one message, two attempts.

A second attempt follows where the first one sent nothing for sure: no connection, 408,
or an error of the server. A time-out while the answer is awaited is none of these: the
message may be on its way, and Alertmanager's own retry comes soon enough.

Source: https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx2

from service import __version__
from service.errors import ServiceError
from service.settings import SmsSettings

__all__ = ["Message", "Provider", "ProviderBusy", "ProviderError", "Refused"]

ATTEMPTS = 2
"""Requests for one message."""

BACKOFF = (0.5, 1.0)
"""Seconds between them, drawn from this range: many recipients don't come at once."""

LONGEST_PAUSE = 3600.0
"""Seconds that a provider's `Retry-After` is believed for."""

USUAL_PAUSE = 30.0
"""Seconds to leave a provider alone that answers 429 and does not say how long."""

_OURS_TO_MEND = {401, 402, 403, 404, 405, 407}
"""Answers that tell of a wrong token, account or URL; the message is good later."""


class ProviderError(ServiceError):
    """
    The provider did not take a message; it may later.

    Args:
        reason: A word for the log.
        perhaps_sent: Whether the message may be on its way all the same.
    """

    def __init__(self, reason: str, *, perhaps_sent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.perhaps_sent = perhaps_sent


class Refused(ProviderError):
    """It will never take this message: the number is none, or blocked."""


class ProviderBusy(ProviderError):
    """
    It wants to be left alone (429).

    Args:
        pause: Seconds.
    """

    def __init__(self, reason: str, *, pause: float) -> None:
        super().__init__(reason)
        self.pause = pause


class _Misconfigured(ProviderError):
    """A second attempt would be no better; one after somebody mended it would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """
    One text for one number.

    Attributes:
        key: The same for each attempt, for providers that know `Idempotency-Key`.
    """

    to: str
    text: str
    key: str


class Provider:
    """
    Sends messages.

    Args:
        settings: Gives the settings as they are now.
        observe: Told how many seconds each request took.
        sleep: Waits between attempts.

    Concurrency:
        For one event loop.
    """

    def __init__(
        self,
        settings: Callable[[], SmsSettings],
        *,
        observe: Callable[[float], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._observe = observe
        self._sleep = sleep
        # reads the system's authorities, which takes its time
        self._tls = httpx2.create_ssl_context()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[httpx2.AsyncClient]:
        """Give a client for the messages of one notification."""
        timeout = self._settings().timeout
        headers = {"user-agent": f"httpserver/{__version__}"}
        async with httpx2.AsyncClient(
            verify=self._tls, timeout=timeout, headers=headers
        ) as client:
            yield client

    async def send(self, client: httpx2.AsyncClient, message: Message) -> None:
        """
        Hand *message* to the provider.

        Raises:
            Refused: It will never take it.
            ProviderBusy: It has to be left alone for some time.
            ProviderError: It did not take it, after the last attempt.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                status, headers = await self._post(client, message)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                failure = ProviderError(type(error).__name__)
            except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
                raise ProviderError(type(error).__name__, perhaps_sent=True) from error
            else:
                found = _failure(status, headers)
                if found is None:
                    return
                failure = found
            if attempt == ATTEMPTS or isinstance(failure, _FINAL):
                raise failure
            await self._sleep(random.uniform(*BACKOFF))  # noqa: S311 - jitter is no secret

    async def _post(
        self, client: httpx2.AsyncClient, message: Message
    ) -> tuple[int, httpx2.Headers]:
        """Send one request; the answer's body is nothing that we need."""
        settings = self._settings()
        began = time.perf_counter()
        try:
            # the client's time-outs are of single steps: a drop a second breaks none
            async with asyncio.timeout(2 * settings.timeout):
                request = _REQUESTS[settings.provider](settings, message)
                async with client.stream("POST", **request) as answer:
                    return answer.status_code, answer.headers
        finally:
            self._observe(time.perf_counter() - began)


def _failure(status: int, headers: httpx2.Headers) -> ProviderError | None:
    """Return what *status* means; None when the message was taken."""
    reason = str(status)
    if httpx2.codes.is_success(status):
        return None
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return ProviderBusy(reason, pause=_pause(headers.get("retry-after", "")))
    if httpx2.codes.is_server_error(status) or status == HTTPStatus.REQUEST_TIMEOUT:
        return ProviderError(reason)
    if status in _OURS_TO_MEND or not httpx2.codes.is_client_error(status):
        return _Misconfigured(reason)
    return Refused(reason)


def _pause(header: str) -> float:
    """Return the seconds that a `Retry-After` asks for."""
    if header.isascii() and header.isdigit():
        seconds = float(header)
    else:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time.time()
        except ValueError:
            seconds = USUAL_PAUSE
    return min(max(seconds, 1.0), LONGEST_PAUSE)


def _twilio(settings: SmsSettings, message: Message) -> dict[str, Any]:
    path = f"/2010-04-01/Accounts/{quote(settings.account, safe='')}/Messages.json"
    return {
        "url": settings.url.rstrip("/") + path,
        "auth": httpx2.BasicAuth(settings.account, _token(settings)),
        "data": {"To": message.to, "From": settings.sender, "Body": message.text},
    }


def _json(settings: SmsSettings, message: Message) -> dict[str, Any]:
    return {
        "url": settings.url,
        "headers": {
            "authorization": f"Bearer {_token(settings)}".encode(),
            "idempotency-key": message.key.encode(),
        },
        "json": {"from": settings.sender, "to": message.to, "text": message.text},
    }


def _token(settings: SmsSettings) -> str:
    return settings.token.get_secret_value() if settings.token else ""


_FINAL = (Refused, ProviderBusy, _Misconfigured)
"""Failures that a second attempt at once would meet again."""

_REQUESTS = {"twilio": _twilio, "json": _json}
"""What is sent, by the provider's form."""
