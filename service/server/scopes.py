"""The part of a request's ASGI scope that is the same for a whole connection."""

import asyncio
from typing import Any

from service.server.addresses import unmapped
from service.server.tls_peer import peer_name, tls_extension

__all__ = ["connection_scope"]


def connection_scope(transport: asyncio.Transport) -> dict[str, Any]:
    """Return what every request's scope on *transport* begins with."""
    secure = transport.get_extra_info("ssl_object") is not None
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "scheme": "https" if secure else "http",
        "server": _address(transport.get_extra_info("sockname")),
        "client": _address(transport.get_extra_info("peername")),
        "root_path": "",
    }
    if secure:
        scope["tls_peer_name"] = peer_name(transport)
        scope["extensions"] = {"tls": tls_extension(transport)}
    return scope


def _address(name: object) -> tuple[str, int] | None:
    if isinstance(name, tuple | list):
        return unmapped(str(name[0])), int(name[1])
    return None
