"""
What an answer of an object store, or the lack of one, means to who asked for a file.

Texts name the store's code or the kind of failure and nothing else: what a store writes
into its errors may repeat parts of the request.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import ClientError as ConnectionFailed
from botocore.exceptions import BotoCoreError, ClientError

from service.files.errors import InvalidPath, NoSpace, NotFound, StoreUnavailable

__all__ = ["Changed", "told"]

_GONE = {"404", "NoSuchKey", "NotFound"}
_CHANGED = {
    "409",
    "412",
    "ConditionalRequestConflict",
    "NoSuchUpload",
    "PreconditionFailed",
}
_FULL = {"507", "InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"}
_UNKEEPABLE = {"KeyTooLongError", "XMinioInvalidObjectName"}


class Changed(StoreUnavailable):
    """Another version is there than the request was for."""


@contextmanager
def told() -> Iterator[None]:
    """
    Raise a store's errors for those of the client.

    Raises:
        NotFound: Nothing is there.
        Changed: Another version is there than the request was for, or its upload has
            come to an end.
        NoSpace: The store is full.
        InvalidPath: It can't hold the name.
        StoreUnavailable: Anything else.
    """
    try:
        yield
    except ClientError as error:
        raise _meaning(error) from None
    except (BotoCoreError, ConnectionFailed, ssl.SSLError, OSError) as error:
        text = f"the object store does not answer: {type(error).__name__}"
        raise StoreUnavailable(text) from None


def _meaning(error: ClientError) -> Exception:
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code in _GONE:
        return NotFound()
    if code in _CHANGED:
        return Changed(code)
    if code in _FULL:
        return NoSpace()
    if code in _UNKEEPABLE:
        return InvalidPath("This name can't be kept here.")
    return StoreUnavailable(f"the object store refuses: {code}")
