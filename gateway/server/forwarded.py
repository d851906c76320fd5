"""Who is at the other end of a connection: its peer, or behind a proxy that is trusted whoever that proxy names.

X-Forwarded-For is a list that each proxy appends the address of its own peer to, so that it is true from the right up
to the first address that is no trusted proxy's; what stands left of that is whatever this client wrote (MDN Web Docs,
"X-Forwarded-For", "Selecting an IP address"). X-Forwarded-Proto says how the client came. From a peer that is not
trusted neither header means anything. `Forwarded` (RFC 7239) never does here: a proxy that does not know it passes on
what a client wrote.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from iam.quickly_made import quickly_made

MAX_PROXIES = 16
"""Trusted proxies in a row that are followed. Real chains have two or three; each costs some microseconds."""

_LONGEST_ADDRESS = 64
"""Characters of an address with brackets, zone and port; what is longer is none, and not parsed."""

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@quickly_made
@dataclass(frozen=True, slots=True)
class Origin:
    """A client's address, and whether it spoke TLS. `is_told`: the latter is what a proxy said."""

    remote_ip: str
    is_secure: bool
    is_told: bool = False


class TrustedProxies:
    """The addresses whose X-Forwarded-For and X-Forwarded-Proto are believed."""

    def __init__(self, networks: Iterable[str]) -> None:
        """`networks` in CIDR notation; an address alone is a network of one. Raises ValueError."""
        self._networks: tuple[_Network, ...] = tuple(ipaddress.ip_network(each) for each in networks)

    def trust(self, remote_ip: str) -> bool:
        """Whether this is a proxy's address; asked once for each connection."""
        if not self._networks:
            return False
        address = _parse(remote_ip)
        return address is not None and self._is_trusted(address)

    def _is_trusted(self, address: _Address) -> bool:
        return any(address in network for network in self._networks)

    def origin(self, peer: str, headers: Mapping[str, str], *, is_secure: bool) -> Origin:
        """Who sent a request that came over a trusted `peer`; `is_secure` is of the connection from there.

        Names in `headers` are in lower case, several of one name joined with "," in order.
        """
        return _proto(headers, is_secure, self._client(peer, headers.get("x-forwarded-for", "")))

    def _client(self, peer: str, forwarded_for: str) -> str:
        """The right-most address that is no trusted proxy's; before one that is none, the last that was told truly."""
        client = peer
        for entry in reversed(forwarded_for.rsplit(",", MAX_PROXIES)[-MAX_PROXIES:]):
            address = _parse(entry.strip(" \t"))
            if address is None:
                break
            client = str(address)
            if not self._is_trusted(address):
                break
        return client


def _proto(headers: Mapping[str, str], is_secure: bool, client: str) -> Origin:
    """A chain of proxies may tell of each hop: one that was plain makes the whole way plain."""
    told = headers.get("x-forwarded-proto")
    if told is None:
        return Origin(client, is_secure)
    hops = {each.strip(" \t").lower() for each in told.split(",")}
    return Origin(client, hops == {"https"}, is_told=True)


def canonical_address(text: str) -> str:
    """An address as policies and logs have it: IPv4 that was mapped into IPv6 is IPv4, and a zone is left out.

    Text that is no address (the peer of a Unix socket) stays what it is.
    """
    address = _parse(text) if ":" in text else None
    return text if address is None else str(address)


def _parse(text: str) -> _Address | None:
    """The address in an entry of X-Forwarded-For, of which some proxies write the port, too. None if it is none."""
    if len(text) > _LONGEST_ADDRESS:
        return None
    host = text
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or (port and not _is_port(port)):
            return None
    elif text.count(":") == 1:
        host, colon, port = text.partition(":")
        if not _is_port(colon + port):
            return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return address
    # A zone (RFC 4007) means something on one machine only.
    return address.ipv4_mapped or ipaddress.IPv6Address(int(address))


def _is_port(text: str) -> bool:
    digits = text[1:]
    return text.startswith(":") and len(digits) <= 5 and digits.isascii() and digits.isdigit()
