"""Which addresses are one client, where clients are counted."""

from __future__ import annotations

import ipaddress

_IPV6_CLIENT_BITS = 64
"""Whoever has an IPv6 address has the rest of its subnet as well (RFC 6177 §2)."""


def address_bytes(remote_ip: str) -> bytes:
    """An address as limits know it: IPv4 as it is, of IPv6 the subnet. Text that is no address stays what it is."""
    try:
        address = ipaddress.ip_address(remote_ip)
    except ValueError:  # the peer of a Unix socket has none
        return remote_ip.encode("utf-8", "surrogatepass")
    return address.packed if address.version == 4 else address.packed[: _IPV6_CLIENT_BITS // 8]
