from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.messages import Request, Response
from gateway.server.forwarded import MAX_PROXIES, Origin, TrustedProxies, canonical_address
from tests.gateway.server.client import serving

PEER = "10.0.0.1"
PROXIES = TrustedProxies(("10.0.0.0/8", "fd00::/8"))


def origin(*, is_secure: bool = False, **headers: str) -> Origin:
    return PROXIES.origin(PEER, {name.replace("_", "-"): value for name, value in headers.items()}, is_secure=is_secure)


@pytest.mark.parametrize(
    ("forwarded_for", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("6.6.6.6,203.0.113.7,\t10.0.0.3 ,fd00::2", "203.0.113.7"),
        ("203.0.113.7:51234", "203.0.113.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("2001:0DB8:0:0::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("2001:db8::7%eth0", "2001:db8::7"),
        ("[2001:db8::7%25x]:1", "2001:db8::7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("6.6.6.6, ::ffff:10.0.0.2", "6.6.6.6"),
        # A client inside the trusted networks may write what it likes, yet never what is no address.
        ("10.0.0.9", "10.0.0.9"),
        ("nonsense, 10.0.0.9", "10.0.0.9"),
        ("nonsense", PEER),
        ("", PEER),
        (",,", PEER),
        ("unknown", PEER),
        ("_hidden", PEER),
        ("203.0.113.7:", PEER),
        ("203.0.113.7:port", PEER),
        ("203.0.113.7:123456", PEER),
        ("[2001:db8::7", PEER),
        ("[2001:db8::7]x", PEER),
        ("2001:db8::7]:1", PEER),
        ("203.0.113.07", PEER),
        ("203.0.113.7/32", PEER),
        ("203.0.113", PEER),
        ("٢٠٣.0.113.7", PEER),
        ("203.0.113.7:٤", PEER),
        ("203.0.113.7 6.6.6.6", PEER),
        ("for=203.0.113.7", PEER),
        ("::1%" + "x" * 10_000, PEER),
        ("1" * 10_000, PEER),
    ],
)
def test_client_is_the_last_address_that_is_no_trusted_proxy(forwarded_for: str, client: str) -> None:
    assert origin(x_forwarded_for=forwarded_for).remote_ip == client


def test_chain_of_proxies_is_followed_up_to_a_bound() -> None:
    proxies = ", ".join(f"10.0.0.{number}" for number in range(1, MAX_PROXIES + 1))
    assert origin(x_forwarded_for="6.6.6.6, " + proxies).remote_ip == "10.0.0.1"
    assert origin(x_forwarded_for="6.6.6.6, " + proxies.partition(", ")[2]).remote_ip == "6.6.6.6"


@given(st.text(), st.ip_addresses())
def test_what_a_client_wrote_never_counts_beside_what_its_proxy_appended(written: str, address: object) -> None:
    expected = canonical_address(str(address))
    if not PROXIES.trust(expected):
        assert origin(x_forwarded_for=f"{written}, {address}").remote_ip == expected


@given(st.text(), st.booleans())
def test_any_text_gives_an_address(written: str, is_secure: bool) -> None:
    found = origin(is_secure=is_secure, x_forwarded_for=written)
    assert found.remote_ip == canonical_address(found.remote_ip)
    assert found.remote_ip == PEER or not found.remote_ip.startswith("::ffff:")
    assert found.is_secure == is_secure


@pytest.mark.parametrize(
    ("proto", "is_secure"),
    [
        ("https", True),
        ("HTTPS ", True),
        ("https, https", True),
        ("http", False),
        ("https, http", False),
        ("http,https", False),
        ("", False),
        ("wss", False),
        ("https;", False),
    ],
)
def test_transport_is_secure_only_if_every_hop_was(proto: str, is_secure: bool) -> None:
    for edge_is_secure in (True, False):
        assert origin(is_secure=edge_is_secure, x_forwarded_proto=proto) == Origin(PEER, is_secure, is_told=True)


def test_proxy_that_does_not_tell_the_transport_leaves_its_own() -> None:
    assert origin(is_secure=True) == Origin(PEER, True)
    assert origin(is_secure=False) == Origin(PEER, False)


@pytest.mark.parametrize(
    ("text", "is_trusted"),
    [(PEER, True), ("11.0.0.1", False), ("fd00::1", True), ("fe80::1", False), ("", False), ("@socket", False)],
)
def test_peers_are_trusted_by_network(text: str, is_trusted: bool) -> None:
    assert PROXIES.trust(text) == is_trusted
    assert not TrustedProxies(()).trust(text)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("", ""),
        ("a:b", "a:b"),
    ],
)
def test_canonical_address(text: str, canonical: str) -> None:
    assert canonical_address(text) == canonical


SPOOFED = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.7\r\n"
    b"X-Forwarded-Proto: https\r\nForwarded: for=6.6.6.6;proto=https\r\n\r\n"
)


@pytest.mark.parametrize(
    ("trusted", "remote_ip", "is_secure"),
    [((), "127.0.0.1", False), (("192.0.2.0/24",), "127.0.0.1", False), (("127.0.0.0/8",), "203.0.113.7", True)],
)
async def test_headers_count_only_from_a_trusted_peer(
    trusted: tuple[str, ...], remote_ip: str, is_secure: bool
) -> None:
    seen: list[Request] = []

    async def handler(request: Request) -> Response:
        seen.append(request)
        return Response()

    async with serving(handler, trusted_proxies=trusted) as served:
        await served.ask(SPOOFED)
        entry = await served.entry()
    (request,) = seen
    assert (request.remote_ip, request.is_secure, request.tls_version) == (remote_ip, is_secure, None)
    assert entry.remote_ip == remote_ip
