"""
Where a name leads, and where nothing may be sent to.

Names and discovered endpoints are told by others: by a DNS server, the cluster, a file.
Whoever can change those must not get at what only this machine may reach, as the
metadata service of a cloud. So what a name leads to is looked at, and the connection is
made to the very address that was: asking twice could give two answers (DNS rebinding).

An address that stands in the settings is the operator's own, and is not looked at.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence

from service.proxy.failures import ForbiddenAddress

__all__ = ["Networks", "allowed_addresses", "is_address", "networks_of"]

Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


def networks_of(texts: Sequence[str]) -> Networks:
    """Return the networks that the settings name, which were checked there."""
    return tuple(map(ipaddress.ip_network, texts))


def is_address(host: str) -> bool:
    """Whether *host* is an address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def allowed_addresses(
    host: str, port: int, *, forbidden: Networks
) -> Sequence[str]:
    """
    Return what *host* may be connected to by, best first.

    Args:
        host: An address, or a name.
        port: Port.
        forbidden: What nothing may be sent to.

    Raises:
        ForbiddenAddress: All that it leads to is forbidden.
        OSError: The name leads nowhere.
    """
    if is_address(host):
        found = [host]
    else:
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        found = list(dict.fromkeys(str(info[4][0]) for info in infos))
    allowed = [each for each in found if not _within(each, forbidden)]
    if not allowed:
        raise ForbiddenAddress(f"{host} is {', '.join(found)}")
    return allowed


def _within(address: str, networks: Networks) -> bool:
    it = ipaddress.ip_address(address)
    mapped = it.ipv4_mapped if isinstance(it, ipaddress.IPv6Address) else None
    return any((mapped or it) in network for network in networks)
