"""What a log kept by NATS JetStream is told: where it is, and how it is kept."""

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from service.commitlog.policy import Policy

__all__ = ["JetStreamOptions"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class JetStreamOptions:
    """
    How a log in JetStream is reached and kept.

    Attributes:
        servers: URLs, `nats://host:port` or `tls://host:port`; the others of the
            cluster are learnt from the first that answers.
        stream: Name of the stream: letters, digits, `_` and `-`.
        replicas: Servers that hold each record: 1, 3 or 5. With 3 one may be lost.
        timeout: Seconds within which an append is acknowledged or a read answered,
            elections of a new leader (4 to 9 seconds) and new connections included.
        duplicate_window: Seconds in which a record of the same id is refused as a
            duplicate; more than `timeout`.
        policy: Its limits of records, batches and retention count. What an
            acknowledgement means is the servers' setting (`sync_interval`).
        user: Name at the servers, or a function that tells it at each connection.
        password: The same for its password.
        token: The same for a token.
        tls: Authority and certificate, for `tls://`; None: those of the system.
        client_name: What the servers call the connection in what they tell.
        ping_interval: Seconds between two pings. At the third without an answer the
            connection is given up, and what waited is sent again to another server; so
            three of them and an election are to be below `timeout`.

    Raises:
        ValueError: One of them can't be.
    """

    servers: tuple[str, ...]
    stream: str = "log"
    replicas: int = 3
    timeout: float = 20.0
    duplicate_window: float = 120.0
    policy: Policy = field(default_factory=Policy)
    user: str | Callable[[], str] | None = None
    password: str | Callable[[], str] | None = None
    token: str | Callable[[], str] | None = None
    tls: ssl.SSLContext | None = None
    client_name: str = "commit log"
    ping_interval: float = 3.0

    def __post_init__(self) -> None:
        if not self.servers:
            raise ValueError("no servers")
        if not _NAME.fullmatch(self.stream):
            raise ValueError("a stream's name has letters, digits, _ and - alone")
        if not 0 < self.timeout < self.duplicate_window:
            raise ValueError("duplicate_window must be over timeout, and it over 0")

    @property
    def subject(self) -> str:
        """What records are published to."""
        return f"{self.stream}.records"

    def stream_config(self) -> dict[str, object]:
        """
        Return the configuration of the stream: those keys that matter to the log.

        Nothing but retention takes records away, so that offsets have no gaps.

        Source: https://docs.nats.io/nats-concepts/jetstream/streams
        """
        policy = self.policy
        return {
            "name": self.stream,
            "subjects": [self.subject],
            "storage": "file",
            "retention": "limits",
            "discard": "old",
            "num_replicas": self.replicas,
            "max_bytes": policy.retention_bytes or -1,
            "max_age": int(policy.retention_seconds * 1e9),
            "duplicate_window": int(self._duplicate_window() * 1e9),
            "allow_direct": True,
            "allow_atomic": True,
            "deny_delete": True,
            "deny_purge": True,
        }

    def _duplicate_window(self) -> float:
        """Return the window, which the server wants no longer than the retention."""
        age = self.policy.retention_seconds
        return min(self.duplicate_window, age) if age else self.duplicate_window
