"""A stream kept by NATS JetStream, opened by the settings."""

import ssl
from collections.abc import Callable

from pydantic import SecretStr

from service.commitlog import Policy
from service.commitlog.errors import CommitLogError
from service.commitlog.jetstream import JetStreamLog, open_jetstream
from service.commitlog.jetstream_options import JetStreamOptions
from service.errors import StartError
from service.settings.log_jetstream import LogJetStreamSettings

__all__ = ["open_stream"]


async def open_stream(
    name: str, settings: Callable[[], LogJetStreamSettings], policy: Policy
) -> JetStreamLog:
    """
    Open the stream *name*; secrets are read anew for each connection.

    Raises:
        StartError: No server answers, they refuse the stream, or a file can't be read.
    """
    now = settings()
    try:
        options = JetStreamOptions(
            servers=tuple(now.servers),
            stream=f"{now.prefix}{name}",
            replicas=now.replicas,
            timeout=now.timeout,
            duplicate_window=now.duplicate_window,
            policy=policy,
            user=now.user or None,
            password=_secret(lambda: settings().password),
            token=_secret(lambda: settings().token),
            tls=_tls(now),
            client_name="httpserver",
        )
        return await open_jetstream(options)
    except (CommitLogError, OSError) as error:
        raise StartError(f"log_service.jetstream: {error}") from error


def _secret(read: Callable[[], SecretStr | None]) -> Callable[[], str] | None:
    """Return what tells the secret of the moment; None when there is none."""
    if read() is None:
        return None

    def told() -> str:
        secret = read()
        return secret.get_secret_value() if secret else ""

    return told


def _tls(settings: LogJetStreamSettings) -> ssl.SSLContext | None:
    if not any(server.startswith("tls://") for server in settings.servers):
        return None
    context = ssl.create_default_context(cafile=settings.ca_file or None)
    if settings.cert_file:
        context.load_cert_chain(settings.cert_file, settings.key_file or None)
    return context
