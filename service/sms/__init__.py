"""Alertmanager's notifications as text messages, through a provider's HTTP API."""

from service.feature import Core, Feature

__all__ = ["feature"]


def feature(core: Core) -> Feature:
    """Return the webhook when the settings switch it on."""
    if not core.store.current.sms.enabled:
        return Feature()
    # the HTTP client takes a good part of the start, and most services send nothing
    from service.sms.assembly import gateway

    return gateway(core)
