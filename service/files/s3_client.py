"""
The client of an object store: aiobotocore, which knows AWS's protocol with its
conditions at the end of an upload and its pages of a directory.

Each call has a limit in time, whatever the client's attempts come to. Keys of the
settings are asked for at each request, so that new ones need no restart; without them
AWS's own chain finds some (environment, web identity, container, machine).
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioCredentials, create_credential_resolver
from aiobotocore.session import AioSession, get_session
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import NoCredentialsError
from typing_extensions import override

from service.files.s3_errors import told
from service.settings import S3Settings

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

__all__ = ["Bucket", "opened_bucket"]

_ATTEMPTS = 3
_CONNECTIONS = 64
"""Most connections of a process; requests wait for a free one."""


class Bucket:
    """
    The part of an object store that is ours.

    Args:
        client: What asks it.
        name: Of the bucket.
        prefix: Begin of all keys; empty, or with a slash at its end.
        time_limit: Seconds that a call may take.

    Attributes:
        name: The same.
        prefix: The same.

    Concurrency: tasks of one event loop.
    """

    def __init__(
        self, client: "S3Client", *, name: str, prefix: str, time_limit: float
    ) -> None:
        self._client = client
        self._time_limit = time_limit
        self.name = name
        self.prefix = prefix

    def key(self, path: str) -> str:
        """Return the key of the file at *path*."""
        return self.prefix + path

    @asynccontextmanager
    async def asked(self, time_limit: float | None = None) -> AsyncIterator["S3Client"]:
        """
        Give the client for one call.

        Args:
            time_limit: Seconds that it may take; those of the settings without.

        Raises:
            FileError: What the store's answer comes to; see `s3_errors.told`.
        """
        with told():
            async with asyncio.timeout(time_limit or self._time_limit):
                yield self._client


@asynccontextmanager
async def opened_bucket(settings: Callable[[], S3Settings]) -> AsyncIterator[Bucket]:
    """
    Give the bucket of the settings; nothing is asked of it yet.

    Args:
        settings: Gives them; only the keys are asked for again.

    Raises:
        OSError: The authorities can't be read.
    """
    begun = settings()
    if begun.ca_file:
        # the client would look at it with the first request only
        await asyncio.to_thread(ssl.create_default_context, cafile=begun.ca_file)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(_session(settings).create_client(
            "s3",
            region_name=begun.region,
            endpoint_url=begun.endpoint,
            verify=begun.ca_file or None,
            config=_config(begun),
        ))  # fmt: skip
        yield Bucket(
            client,
            name=begun.bucket,
            prefix=begun.prefix,
            time_limit=begun.time_limit,
        )


def _config(settings: S3Settings) -> AioConfig:
    return AioConfig(
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        max_pool_connections=_CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        s3={"addressing_style": settings.addressing},
    )


def _session(settings: Callable[[], S3Settings]) -> AioSession:
    session = get_session()
    credentials = _Credentials(settings, session)
    session.register_component("credential_provider", _Provider(credentials))
    return session


class _Credentials(AioCredentials):
    """The keys of the settings, or else what AWS's chain finds."""

    def __init__(self, settings: Callable[[], S3Settings], session: AioSession) -> None:
        super().__init__("", "")
        self._settings = settings
        self._chain: Any = create_credential_resolver(session)
        self._found: Any = None

    @override
    async def get_frozen_credentials(  # type: ignore[override] # aiobotocore's is async
        self,
    ) -> ReadOnlyCredentials:
        said = self._settings()
        if said.access_key_id is not None and said.secret_access_key is not None:
            token = said.session_token
            return ReadOnlyCredentials(
                said.access_key_id.get_secret_value(),
                said.secret_access_key.get_secret_value(),
                None if token is None else token.get_secret_value(),
            )
        if self._found is None:
            self._found = await self._chain.load_credentials()
        if self._found is None:
            raise NoCredentialsError
        frozen: ReadOnlyCredentials = await self._found.get_frozen_credentials()
        return frozen


class _Provider:
    """Gives the credentials, in the way that a session asks for them."""

    def __init__(self, credentials: AioCredentials) -> None:
        self._credentials = credentials

    async def load_credentials(self) -> AioCredentials:
        """Return them."""
        return self._credentials
