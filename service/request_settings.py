"""
The settings that every request asks for, in one small object.

A model of pydantic's is slow to read: three steps of it at each of five questions are
felt in a small request. Here they are read once, at the start and after each change.
"""

from service.config import SettingsStore
from service.server.limits import Limits
from service.settings import Settings

__all__ = ["RequestSettings"]

_LIMITS = tuple(Limits.__dataclass_fields__)


class RequestSettings:
    """
    The settings of requests as they are now.

    Args:
        store: The settings, live.

    Attributes:
        body_limit: Largest body in bytes.
        hosts: Names that are served; none is all.
        limits: What a connection is granted.
        logged: Whether requests are logged.
        probes_logged: Whether probes are too.
        request_timeout: Seconds that a handler may take; 0 is no limit.

    Concurrency:
        Any thread may read; a reload sets one after the other.
    """

    __slots__ = (
        "body_limit",
        "hosts",
        "limits",
        "logged",
        "probes_logged",
        "request_timeout",
    )

    def __init__(self, store: SettingsStore) -> None:
        self._take(store.current)
        store.subscribe(lambda _old, new: self._take(new))

    def _take(self, settings: Settings) -> None:
        server, log = settings.server, settings.log
        self.body_limit = server.max_body_bytes
        self.hosts = server.hosts
        self.limits = Limits(**{name: getattr(server, name) for name in _LIMITS})
        self.logged = log.access
        self.probes_logged = log.probes
        self.request_timeout = server.request_timeout
