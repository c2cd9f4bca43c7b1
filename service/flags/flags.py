"""
Feature flags as the service asks them: OpenFeature's client, and a memory for what is
the same for everybody.

An evaluation by the client takes some ten microseconds (hooks, contexts, details), and
`/` asks at each request. So what a provider calls `STATIC` or `DISABLED` is kept until
the settings or the provider's flags change; everything else is asked anew.
"""

import uuid
from collections.abc import Callable, Iterable
from typing import Any

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.flag_evaluation import FlagEvaluationDetails, Reason
from openfeature.provider import FeatureProvider
from openfeature.provider.no_op_provider import NoOpProvider

from service.flags.provider import ROUTE, USER, SettingsProvider
from service.observability.flag_metrics import FlagMetrics
from service.server.context import RequestContext
from service.settings import FlagSettings

__all__ = ["Flags"]

_FOR_ALL = (Reason.STATIC, Reason.DISABLED)
"""Reasons that hold for whoever asks."""

_NEWS = (
    ProviderEvent.PROVIDER_READY,
    ProviderEvent.PROVIDER_CONFIGURATION_CHANGED,
    ProviderEvent.PROVIDER_STALE,
)
"""Events after which what was kept may be wrong."""


class Flags:
    """
    The flags of one service; a part that connects to flagd where flags come from there.

    Args:
        settings: Gives the settings as they are now.
        authenticate: Each returns the user of a request, or None; asked for flags that
            depend on who asks.
        provider: Tells the flags in place of the settings or flagd.
        metrics: Where evaluations are counted, if anywhere.

    Concurrency:
        Any thread.
    """

    name = "flags"

    def __init__(
        self,
        settings: Callable[[], FlagSettings],
        *,
        authenticate: Iterable[Callable[[RequestContext], str | None]] = (),
        provider: FeatureProvider | None = None,
        metrics: FlagMetrics | None = None,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._authenticate = authenticate
        # a domain of its own: OpenFeature's providers are those of the whole process
        self._domain = uuid.uuid4().hex
        self._client = api.get_client(self._domain)
        self._seen: FlagSettings | None = None
        self._kept: dict[str, tuple[bool, Callable[[], None]]] = {}
        self._from_flagd = provider is None and settings().provider == "flagd"
        if not self._from_flagd:
            chosen = provider or SettingsProvider(settings)
            api.set_provider_and_wait(chosen, self._domain)

    def boolean(
        self, name: str, ctx: RequestContext | None = None, *, default: bool
    ) -> bool:
        """
        Whether the flag is on for a request.

        Args:
            name: Name of the flag.
            ctx: The request; its user, or else its id, is who asks.
            default: What holds while nobody can tell.
        """
        settings = self._settings()
        if settings is not self._seen:
            self._kept = {}
            self._seen = settings
        kept = self._kept.get(name)
        if kept is None:
            return self._evaluate(name, ctx, default=default)
        value, count = kept
        count()
        return value

    def view(self) -> dict[str, Any]:
        """
        Return what the flags of the settings are for nobody in particular, and why.

        A flag with a rule tells `rule`: who asks decides. Nothing of it is counted.
        """
        settings = self._settings()
        told: dict[str, dict[str, Any]] = {}
        for name, default in sorted(FlagSettings.defaults().items()):
            found = self._client.get_boolean_details(name, default)
            told[name] = {
                "value": found.value,
                "default": default,
                "reason": str(found.reason or Reason.UNKNOWN).lower(),
                **({"error": found.error_message} if found.error_code else {}),
            }
            ruled = name in settings.rules and found.reason not in _FOR_ALL
            if ruled and not self._from_flagd:
                told[name]["rule"] = settings.rules[name].model_dump()
        return {
            "provider": self._client.provider.get_metadata().name,
            "status": self._client.get_provider_status().value.lower(),
            "flags": told,
        }

    async def start(self) -> None:
        """Connect to flagd; flags have their defaults until it has answered."""
        for event in _NEWS:
            self._client.add_handler(event, self._forget)
        if self._from_flagd:
            api.set_provider(_flagd(self._settings()), self._domain)

    async def stop(self) -> None:
        """Let the provider go."""
        for event in _NEWS:
            self._client.remove_handler(event, self._forget)
        api.set_provider_and_wait(NoOpProvider(), self._domain)

    def _forget(self, _news: EventDetails) -> None:
        self._kept = {}

    def _evaluate(
        self, name: str, ctx: RequestContext | None, *, default: bool
    ) -> bool:
        kept = self._kept
        found = self._client.get_boolean_details(name, default, self._context(ctx))
        count = self._counting(name, found)
        if found.reason in _FOR_ALL:
            kept[name] = found.value, count
        count()
        return found.value

    def _counting(
        self, name: str, found: FlagEvaluationDetails[bool]
    ) -> Callable[[], None]:
        if self._metrics is None:
            return _count_nothing
        reason = str(found.reason or Reason.UNKNOWN)
        return self._metrics.counting(name, value=found.value, reason=reason)

    def _context(self, ctx: RequestContext | None) -> EvaluationContext | None:
        """Return who asks, and for which route."""
        if ctx is None:
            return None
        user = next((name for ask in self._authenticate if (name := ask(ctx))), "")
        return EvaluationContext(user or ctx.request_id, {ROUTE: ctx.route, USER: user})


def _count_nothing() -> None:
    pass


def _flagd(settings: FlagSettings) -> FeatureProvider:
    """
    Return the provider that keeps flagd's flags in this process.

    Asking flagd itself each time would block the event loop for a call; its stream
    costs one connection, and an evaluation stays in memory.
    """
    # gRPC takes its time to import
    from openfeature.contrib.provider.flagd import FlagdProvider
    from openfeature.contrib.provider.flagd.config import ResolverType

    _, _, path = settings.flagd.partition(":")
    if path.startswith("/"):
        return FlagdProvider(
            resolver_type=ResolverType.FILE, offline_flag_source_path=path
        )
    host, _, port = settings.flagd.rpartition(":")
    return FlagdProvider(
        host=host,
        port=int(port),
        tls=settings.flagd_tls,
        resolver_type=ResolverType.IN_PROCESS,
    )
