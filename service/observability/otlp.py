"""
The way to an OpenTelemetry collector, the same for spans and metrics.

The exporters are OpenTelemetry's own; here is what they are given. Their environment
variables (`OTEL_EXPORTER_OTLP_…`) are overruled by the settings, which have defaults;
those of the resource (`OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SERVICE_NAME`) are read.
"""

import socket
from pathlib import Path
from typing import Any

from opentelemetry.sdk.resources import Resource

from service.settings import OtlpSettings

__all__ = ["grpc_options", "http_options", "resource"]


def resource(name: str, *, version: str) -> Resource:
    """
    Return who the data comes from.

    Args:
        name: Name of the service.
        version: Its version.
    """
    return Resource.create(
        {
            "service.name": name,
            "service.version": version,
            # a pod's name, as Prometheus' label of the same pod has it
            "service.instance.id": socket.gethostname(),
        }
    )


def grpc_options(settings: OtlpSettings) -> dict[str, Any]:
    """
    Return the arguments of an exporter that speaks gRPC.

    Raises:
        OSError: `ca_file` can't be read.
    """
    from grpc import ssl_channel_credentials

    encrypted = settings.endpoint.startswith("https:")
    authorities = Path(settings.ca_file).read_bytes() if settings.ca_file else None
    return {
        "endpoint": settings.endpoint,
        "insecure": not encrypted,
        "credentials": ssl_channel_credentials(authorities) if encrypted else None,
        "headers": _headers(settings),
        "timeout": settings.timeout,
    }


def http_options(settings: OtlpSettings, *, signal: str) -> dict[str, Any]:
    """
    Return the arguments of an exporter that speaks HTTP.

    Args:
        settings: Where to.
        signal: `traces` or `metrics`.
    """
    return {
        "endpoint": f"{settings.endpoint.rstrip('/')}/v1/{signal}",
        "certificate_file": settings.ca_file or None,
        "session": _session(settings),
        "headers": _headers(settings),
        "timeout": settings.timeout,
    }


def _headers(settings: OtlpSettings) -> dict[str, str]:
    return {
        name.lower(): value.get_secret_value()
        for name, value in settings.headers.items()
    }


def _session(settings: OtlpSettings) -> Any:
    """Return what an exporter sends by: the settings' authorities are those it has."""
    import requests

    session = requests.Session()
    if settings.ca_file:
        # the environment's authorities (REQUESTS_CA_BUNDLE) would come before ours
        session.trust_env = False
        session.proxies = requests.utils.get_environ_proxies(settings.endpoint)
    return session
