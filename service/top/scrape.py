"""
Asking a service for its metrics, by HTTP or HTTPS.

The standard library's client is enough for one small GET every few seconds, and costs
no import of a larger one. It obeys `HTTPS_PROXY` and `NO_PROXY` as other tools do.
"""

import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from service import __version__
from service.observability.reading import Sample, read_exposition

__all__ = [
    "BadTarget",
    "NotMetrics",
    "Scrape",
    "Scraper",
    "Unreachable",
    "target_url",
]

LONGEST = 32 * 1024 * 1024
"""Bytes of an exposition; a service with bounded labels tells far less."""


class BadTarget(ValueError):
    """What was typed is no address of metrics."""


class Unreachable(Exception):
    """Nobody answers, or not in time; the next scrape may find somebody."""


class NotMetrics(Exception):
    """Somebody answers something else: the address is wrong."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """
    What one service told at one moment.

    Attributes:
        at: When, in seconds of the monotonic clock.
        samples: All it told.
    """

    at: float
    samples: Sequence[Sample]


def target_url(text: str) -> str:
    """
    Return the URL of the metrics that *text* means.

    Args:
        text: `http(s)://…`, or `host:port`; without a path `/metrics` is meant.

    Raises:
        BadTarget: It is neither, or has a password in it, which would be shown.
    """
    url = text if "://" in text else f"http://{text}"
    if "@" in url.partition("://")[2].partition("/")[0]:
        msg = f"{url.rpartition('@')[2]}: must have no user and password in it"
        raise BadTarget(msg)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadTarget(f"{text}: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise BadTarget(f"{text}: must be http://HOST:PORT/metrics, or HOST:PORT")
    if any(each.isspace() or not each.isprintable() for each in url):
        raise BadTarget(f"{text!r}: has characters that no URL has")
    path = parts.path if parts.path not in ("", "/") else "/metrics"
    return parts._replace(path=path, fragment="").geturl()


class Scraper:
    """
    Asks one service, again and again.

    Args:
        url: Where its metrics are.
        ca: Authorities that vouch for it, PEM; those of the system without.
        timeout: Seconds that it may take to say the next thing.

    Raises:
        BadTarget: The file of authorities can't be read.

    Concurrency:
        One thread at a time.
    """

    def __init__(
        self, url: str, *, ca: Path | None = None, timeout: float = 5.0
    ) -> None:
        self.url = url
        self._timeout = timeout
        try:
            context = ssl.create_default_context(cafile=ca)
        except (OSError, ssl.SSLError) as error:
            raise BadTarget(f"{ca}: {error.strerror or error}") from None
        # no other handlers: a redirect must not lead to ftp: or file:
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(context=context),
            urllib.request.HTTPRedirectHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
        ):
            self._opener.add_handler(handler)

    def scrape(self) -> Scrape:
        """
        Return what the service tells now.

        Raises:
            Unreachable: It does not answer, or says that it can't for now (5xx).
            NotMetrics: It answers something else.
        """
        text = self._fetch()
        at = time.monotonic()
        try:
            samples = read_exposition(text)
        except ValueError as error:
            raise NotMetrics(str(error)) from None
        if not samples:
            raise NotMetrics("there is no metric")
        return Scrape(at, samples)

    def _fetch(self) -> str:
        headers = {
            "Accept": "text/plain",
            "User-Agent": f"httpserver-top/{__version__}",
        }
        request = urllib.request.Request(self.url, headers=headers)  # noqa: S310 - target_url has checked the scheme
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                body: bytes = answer.read(LONGEST + 1)
        except urllib.error.HTTPError as error:
            error.close()
            kind = (
                Unreachable
                if error.code >= http.HTTPStatus.INTERNAL_SERVER_ERROR
                else NotMetrics
            )
            raise kind(f"answered {error.code} {error.reason}") from None
        except urllib.error.URLError as error:
            raise Unreachable(_reason(error.reason)) from None
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(_reason(error)) from None
        if len(body) > LONGEST:
            raise NotMetrics("the answer has no end")
        return body.decode("utf-8", "replace")


def _reason(error: object) -> str:
    """Return *error* in a few words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not believed: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
