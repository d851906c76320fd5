"""Fetching the keys of identity providers: from a real socket, within bounds of every kind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gateway.server import provider_keys
from gateway.server.provider_keys import ProviderKeys
from iam.jose import parse_key_set, parse_token
from iam.web_identity import KeysUnavailable, KeysWrong
from tests.oidc_issuer import Issuer, Signer, running_issuer

ONE, TWO = Signer("ES256", "one"), Signer("ES256", "two")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer(ONE) as made:
        yield made


@asynccontextmanager
async def source(clock: Clock | None = None, **options: Any) -> AsyncIterator[ProviderKeys]:
    settings: dict[str, Any] = {"configured": {}, "fetch_seconds": 5.0, "keep_seconds": 900.0}
    settings |= {"allow_loopback": True, "ca_file": None, "clock": clock or Clock(), **options}
    made = ProviderKeys(**settings)
    try:
        yield made
    finally:
        await made.close()


async def ids(keys: ProviderKeys, issuer: Issuer, key_id: str | None = "one") -> list[str | None]:
    return [key.key_id for key in await keys.keys(issuer.url, key_id)]


async def test_keys_are_fetched_once(issuer: Issuer) -> None:
    async with source() as keys:
        found = await keys.keys(issuer.url, "one")
        parse_token(issuer.token()).verify(found)
        assert await asyncio.gather(*(ids(keys, issuer) for _ in range(5))) == [["one"]] * 5
    assert issuer.asked == ["/realms/test/.well-known/openid-configuration", "/realms/test/keys"]


async def test_many_at_once_fetch_once(issuer: Issuer) -> None:
    issuer.delay_seconds = 0.1
    async with source() as keys:
        assert await asyncio.gather(*(ids(keys, issuer) for _ in range(20))) == [["one"]] * 20
    assert len(issuer.asked) == 2


async def test_keys_are_fetched_anew_after_a_while(issuer: Issuer) -> None:
    clock = Clock()
    async with source(clock) as keys:
        await ids(keys, issuer)
        issuer.publish(TWO)
        clock.now += 899
        assert await ids(keys, issuer) == ["one"]
        clock.now += 1
        assert await ids(keys, issuer) == ["two"]


async def test_an_unknown_key_has_them_fetched_but_not_for_every_token(issuer: Issuer) -> None:
    clock = Clock()
    async with source(clock) as keys:
        await ids(keys, issuer)
        issuer.publish(ONE, TWO)
        for _ in range(5):
            assert await ids(keys, issuer, "two") == ["one"]
        assert len(issuer.asked) == 2
        clock.now += provider_keys.REFETCH_SECONDS
        assert await ids(keys, issuer, "two") == ["one", "two"]
        for _ in range(5):
            await ids(keys, issuer, "never")
        assert len(issuer.asked) == 4


async def test_a_failure_is_not_repeated_for_every_token(issuer: Issuer) -> None:
    clock = Clock()
    issuer.status = 503
    async with source(clock) as keys:
        for _ in range(5):
            with pytest.raises(KeysUnavailable):
                await ids(keys, issuer)
        assert len(issuer.asked) == 1
        issuer.status = 200
        clock.now += provider_keys.REFETCH_SECONDS
        assert await ids(keys, issuer) == ["one"]


async def test_time_is_bounded(issuer: Issuer) -> None:
    issuer.delay_seconds = 2.0
    async with source(fetch_seconds=0.2) as keys:
        begun = asyncio.get_running_loop().time()
        with pytest.raises(KeysUnavailable):
            await ids(keys, issuer)
        assert asyncio.get_running_loop().time() - begun < 1.5


async def test_nobody_waits_for_others_slow_issuers_for_long(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_keys, "MAX_FETCHES", 1)
    async with source(fetch_seconds=0.1) as keys:
        async with keys._fetches:  # as long as somebody else's fetch is under way
            with pytest.raises(KeysUnavailable):
                await ids(keys, issuer)
        assert issuer.asked == []
    async with source() as keys:
        assert await ids(keys, issuer) == ["one"]


@pytest.mark.parametrize("path", ["/realms/test/.well-known/openid-configuration", "/realms/test/keys"])
async def test_size_is_bounded(issuer: Issuer, path: str) -> None:
    issuer.documents[path] += b" " * provider_keys.MAX_DOCUMENT_BYTES
    async with source() as keys:
        with pytest.raises(KeysWrong):
            await ids(keys, issuer)


@pytest.mark.parametrize("status", [301, 302, 307, 401, 404, 500])
async def test_nothing_is_followed(issuer: Issuer, status: int) -> None:
    issuer.status = status
    async with source() as keys:
        with pytest.raises(KeysUnavailable):
            await ids(keys, issuer)
    assert len(issuer.asked) == 1


@pytest.mark.parametrize(
    "configuration",
    [
        {"issuer": "https://elsewhere.example.com"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": 1},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "http://169.254.169.254/latest/meta-data"},
        {"jwks_uri": "https://169.254.169.254/keys"},
        {"jwks_uri": "http://user@127.0.0.1/keys"},
        {"jwks_uri": "http://127.0.0.1:1/keys?a=b"},
    ],
)
async def test_configurations_that_are_not_believed(issuer: Issuer, configuration: dict[str, Any]) -> None:
    issuer.publish(ONE, **configuration)
    async with source() as keys:
        with pytest.raises(KeysWrong):
            await ids(keys, issuer)
    assert len(issuer.asked) == 1


@pytest.mark.parametrize("document", [b"", b"[]", b"\xff", b"{", b"[" * 10_000])
@pytest.mark.parametrize("path", ["/realms/test/.well-known/openid-configuration", "/realms/test/keys"])
async def test_documents_that_are_none(issuer: Issuer, path: str, document: bytes) -> None:
    issuer.documents[path] = document
    async with source() as keys:
        with pytest.raises(KeysWrong):
            await ids(keys, issuer)


async def test_this_machine_is_asked_only_if_it_may_be(issuer: Issuer) -> None:
    async with source(allow_loopback=False) as keys:
        with pytest.raises(KeysUnavailable):
            await ids(keys, issuer)
    assert issuer.asked == []


async def test_an_issuer_elsewhere_names_no_keys_on_this_machine() -> None:
    """Only a loopback issuer has keys there: another one could have any port asked."""
    async with source() as keys:
        configuration = json.dumps({"issuer": "https://a.example.com", "jwks_uri": "http://127.0.0.1:1/keys"})

        async def answer(url: str) -> bytes:
            assert url.startswith("https://a.example.com/")
            return configuration.encode()

        keys._document = answer  # type: ignore[method-assign]
        with pytest.raises(KeysWrong):
            await keys.keys("https://a.example.com", None)


async def test_what_answers_must_have_a_good_certificate(issuer: Issuer) -> None:
    """The issuer speaks plain HTTP: as https it is no issuer at all."""
    async with source() as keys:
        with pytest.raises(KeysUnavailable):
            await keys.keys(issuer.url.replace("http:", "https:"), None)


def _certificate(directory: Path) -> tuple[Path, Path]:
    """A self-signed one for localhost, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    (directory / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "key.pem").write_bytes(pem)
    return directory / "cert.pem", directory / "key.pem"


async def test_an_authority_of_ones_own(tmp_path: Path) -> None:
    with running_issuer(ONE, tls=_certificate(tmp_path)) as secure:
        assert secure.url.startswith("https://localhost:")
        async with source(ca_file=tmp_path / "cert.pem") as keys:
            assert await ids(keys, secure) == ["one"]
        async with source() as keys:
            with pytest.raises(KeysUnavailable):
                await ids(keys, secure)
        named_otherwise = secure.url.replace("localhost", "127.0.0.1")
        async with source(ca_file=tmp_path / "cert.pem") as keys:
            with pytest.raises(KeysUnavailable):
                await keys.keys(named_otherwise, None)


async def test_a_port_where_nobody_listens() -> None:
    async with source() as keys:
        with pytest.raises(KeysUnavailable):
            await keys.keys("http://127.0.0.1:1/realms/test", None)


async def test_configured_keys_are_never_fetched(issuer: Issuer) -> None:
    configured = {issuer.url: parse_key_set(TWO.key_set())}
    async with source(configured=configured) as keys:
        assert await ids(keys, issuer, "one") == ["two"]
    assert issuer.asked == []


async def test_few_issuers_are_remembered(issuer: Issuer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(provider_keys, "MAX_ISSUERS", 1)
    with running_issuer(TWO) as other:
        async with source() as keys:
            await ids(keys, issuer)
            await ids(keys, other)
            await ids(keys, issuer)
    assert len(issuer.asked) == 4
