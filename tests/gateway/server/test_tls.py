from __future__ import annotations

import asyncio
import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.protocol.messages import Request, Response
from gateway.server.tls import ReloadingTLS
from tests.gateway.server.client import Served, hello, serving, sink

NOW = datetime.datetime.now(datetime.UTC)


def write_pair(directory: Path, name: str, passphrase: bytes | None = None) -> None:
    """A self-signed certificate of that common name, for localhost, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(days=1))
        .not_valid_after(NOW + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    (directory / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    )


def reloading(directory: Path) -> ReloadingTLS:
    return ReloadingTLS(directory / "cert.pem", directory / "key.pem")


def client_context(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version is not None:
        context.maximum_version = version
    return context


async def name_served(served: Served) -> str:
    """The common name in the certificate that a new handshake gets."""
    client = await served.connect(ssl=client_context(), server_hostname="localhost")
    der = client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    client.close()
    (name,) = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value)


async def test_requests_over_tls_are_secure(tmp_path: Path) -> None:
    async def handler(request: Request) -> Response:
        assert request.is_secure
        assert request.tls_version == "1.3"
        return await sink(request)

    write_pair(tmp_path, "first")
    async with serving(handler, tls=reloading(tmp_path).context) as served:
        client = await served.connect(ssl=client_context(), server_hostname="localhost")
        client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + bytes(1_000_000))
        assert (await client.reply()).body == b"1000000"


async def test_reused_buffers_are_safe_over_tls(tmp_path: Path) -> None:
    async def handler(request: Request) -> Response:
        async def reusing():  # type: ignore[no-untyped-def]
            buffer = bytearray(100_000)
            for number in range(30):
                buffer[:] = bytes([number]) * len(buffer)
                yield memoryview(buffer)

        return Response(body=reusing(), content_length=3_000_000)

    write_pair(tmp_path, "first")
    async with serving(handler, tls=reloading(tmp_path).context) as served:
        client = await served.connect(ssl=client_context(), server_hostname="localhost")
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.reply()).body == b"".join(bytes([number]) * 100_000 for number in range(30))


async def test_new_certificate_serves_new_handshakes(tmp_path: Path) -> None:
    write_pair(tmp_path, "first")
    tls = reloading(tmp_path)
    async with serving(hello, tls=tls.context) as served:
        old = await served.connect(ssl=client_context(), server_hostname="localhost")
        assert await name_served(served) == "first"
        assert not tls.reload_if_changed()
        write_pair(tmp_path, "second")
        assert tls.reload_if_changed()
        assert await name_served(served) == "second"
        old.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await old.reply()).body == b"hello"


async def test_watch_reloads_by_itself(tmp_path: Path) -> None:
    write_pair(tmp_path, "first")
    tls = reloading(tmp_path)
    watch = asyncio.create_task(tls.watch(poll_seconds=0.01))
    async with serving(hello, tls=tls.context) as served:
        write_pair(tmp_path, "second")
        async with asyncio.timeout(60):
            while await name_served(served) != "second":
                await asyncio.sleep(0.01)
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)


@pytest.mark.parametrize("broken", ["not PEM", "another key", "missing"])
async def test_broken_pair_keeps_the_old(tmp_path: Path, broken: str, caplog: pytest.LogCaptureFixture) -> None:
    write_pair(tmp_path, "first")
    tls = reloading(tmp_path)
    if broken == "not PEM":
        (tmp_path / "cert.pem").write_text("half a certific")
    elif broken == "another key":
        certificate = (tmp_path / "cert.pem").read_bytes()
        write_pair(tmp_path, "second")
        (tmp_path / "cert.pem").write_bytes(certificate)
    else:
        (tmp_path / "key.pem").unlink()
    assert not tls.reload_if_changed()
    assert "the old one stays" in caplog.text
    async with serving(hello, tls=tls.context) as served:
        assert await name_served(served) == "first"
        write_pair(tmp_path, "third")
        assert tls.reload_if_changed()
        assert await name_served(served) == "third"


def test_encrypted_key_is_refused_instead_of_asking_the_terminal(tmp_path: Path) -> None:
    write_pair(tmp_path, "first", passphrase=b"secret")
    with pytest.raises(ssl.SSLError, match="passphrase"):
        reloading(tmp_path)


async def test_old_protocol_versions_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, "first")
    context = client_context()
    with pytest.warns(DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    async with serving(hello, tls=reloading(tmp_path).context) as served:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await served.connect(ssl=context, server_hostname="localhost")
