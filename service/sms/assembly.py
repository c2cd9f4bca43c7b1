"""The gateway, put together from settings and metrics."""

from service.bearer import Guard
from service.feature import Core, Feature
from service.observability.sms_metrics import SmsMetrics
from service.server.routes import Route
from service.settings import SmsSettings
from service.sms.delivery import Postman
from service.sms.gateway import Gateway
from service.sms.notifications import MAX_BYTES
from service.sms.provider import Provider

__all__ = ["gateway"]


def gateway(core: Core) -> Feature:
    """Return the webhook, which only Alertmanager's token opens."""
    metrics = SmsMetrics(core.metrics.registry)

    def settings() -> SmsSettings:
        return core.store.current.sms

    postman = Postman(
        settings,
        provider=Provider(settings, observe=metrics.duration.observe),
        count=lambda result: metrics.messages.labels(result).inc(),
    )
    guard = Guard(
        "webhook",
        token=lambda: settings().webhook_token,
        count=lambda reason: metrics.refusals.labels(reason).inc(),
    )
    route = Route(
        path="/alerts/sms",
        handler=Gateway(postman).handle,
        methods=("POST",),
        summary="Alertmanager's webhook: send text messages",
        max_body_bytes=MAX_BYTES,
    )
    return Feature(admin_routes=[guard.protect(route)])
