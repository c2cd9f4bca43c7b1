"""How the channels of a client are made."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ChannelOptions", "Tls", "token_in"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """
    TLS of a client; its files are looked at when they change.

    Attributes:
        ca: Authorities that vouch for the server, PEM; None: those gRPC comes with.
        cert: The client's certificate and its chain, PEM; None: it shows none.
        key: Its private key, PEM, not encrypted.
        server_name: Name that the server's certificate must have; None: the one that
            is called. Endpoints of discovery are addresses, and need it.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.cert is None) != (self.key is None):
            raise ValueError("a certificate needs its key, and a key its certificate")

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that there are."""
        return tuple(each for each in (self.ca, self.cert, self.key) if each)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelOptions:
    """
    What channels have in common.

    Attributes:
        tls: How they are encrypted; None: they are not.
        connect_timeout: Seconds until a connection must stand.
        keepalive_interval: Seconds without a sign of the server until it is asked for
            one; not less than the server's `limits.min_ping_interval`.
        keepalive_timeout: Seconds it then has, until the connection is given up.
        max_message_bytes: Largest message received.
        reconnect_most: Longest wait between attempts to connect, in seconds.
    """

    tls: Tls | None = None
    connect_timeout: float = 5.0
    keepalive_interval: float = 30.0
    keepalive_timeout: float = 10.0
    max_message_bytes: int = 67_108_864
    reconnect_most: float = 2.0

    def arguments(self) -> list[tuple[str, int | str]]:
        """
        Return them as gRPC has them.

        Source: https://grpc.github.io/grpc/core/group__grpc__arg__keys.html
        """
        first = min(100, int(self.reconnect_most * 1000))
        found: list[tuple[str, int | str]] = [
            ("grpc.keepalive_time_ms", int(self.keepalive_interval * 1000)),
            ("grpc.keepalive_timeout_ms", int(self.keepalive_timeout * 1000)),
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.max_send_message_length", -1),  # the server says what is too much
            ("grpc.initial_reconnect_backoff_ms", first),
            ("grpc.min_reconnect_backoff_ms", int(self.connect_timeout * 1000)),
            ("grpc.max_reconnect_backoff_ms", int(self.reconnect_most * 1000)),
            # a name of several addresses, as a headless Service is: all of them
            ("grpc.lb_policy_name", "round_robin"),
            ("grpc.service_config_disable_resolution", 1),
            # a pod that is made anew has another address; gRPC looks twice a minute
            (
                "grpc.dns_min_time_between_resolutions_ms",
                int(self.reconnect_most * 1000),
            ),
            # a channel with new certificates must not find the old connections
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if self.tls is not None and self.tls.server_name:
            found.append(("grpc.ssl_target_name_override", self.tls.server_name))
        return found


def token_in(file: Path) -> Callable[[], str]:
    """
    Return what gives the token in *file* as it is now.

    Raises:
        OSError: When it is called: the file can't be read.
    """
    return lambda: file.read_text("utf-8").strip()
