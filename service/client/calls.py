"""What a call may be told."""

from collections.abc import AsyncIterable, Mapping, Sequence
from typing import Any, TypedDict

__all__ = ["CallOptions", "Content", "Headers"]

Headers = Mapping[str, str] | Sequence[tuple[str, str]] | Sequence[tuple[bytes, bytes]]
"""What is sent in a head: a mapping, or pairs where a name may come twice."""

Content = bytes | AsyncIterable[bytes] | None
"""A body, one that comes piece by piece, or none."""


class CallOptions(TypedDict, total=False):
    """
    Options of a call; each may be left out.

    Attributes:
        headers: What is sent in the head.
        content: What is sent behind it; a streamed body is sent once, and such a call
            never repeated.
        timeout: Seconds for the whole call; those of the settings without.
        idempotency_key: Sent as `Idempotency-Key`: the call may be repeated.
        retry: Whether it may be repeated, whatever its method; by its method and key
            without.
        key: Calls of the same key go to the same endpoint, where the service is
            balanced by keys.
        extensions: For the HTTP library: `trace`, which is told of each step, or
            `sni_hostname`.
    """

    headers: Headers
    content: Content
    timeout: float | None
    idempotency_key: str | None
    retry: bool | None
    key: str | None
    extensions: Mapping[str, Any]
