"""Addresses as the rest of the service knows them: one text for one client."""

import ipaddress

__all__ = ["unmapped"]


def unmapped(address: str) -> str:
    """
    Return *address*, as IPv4 where it is IPv4 in IPv6's form.

    A socket that takes both sees its IPv4 clients so. What is no address is returned
    as it is.

    Source: RFC 4291 §2.5.5.2
    """
    if ":" not in address or "ffff" not in address.lower():  # most; parsing takes time
        return address
    try:
        return str(ipaddress.IPv6Address(address).ipv4_mapped or address)
    except ValueError:
        return address
