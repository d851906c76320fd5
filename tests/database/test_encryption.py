"""TLS and passwords between a gateway and its database: a real server that lets nobody in without both."""

from __future__ import annotations

import asyncio
import datetime
import gc
import ipaddress
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from database.connection import Database
from database.opening import Password, open_database
from database.probe import Probe, probe
from gateway.storage.errors import StorageUnavailable
from gateway.storage.index.postgresql.schema import ERRORS, MIGRATIONS
from tests.acceptance.observe import readiness
from tests.harness import Gateway, wait_until
from tests.postgresql import MISSING, PostgreSQLServer, find_postgresql, start_postgresql

pytestmark = [
    pytest.mark.skipif(find_postgresql() is None, reason=MISSING),
    # The driver leaves the socket of a connection that was refused to the collector, which is called here.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


PASSWORD = "hush, a Password: ü"
USER, BY_CERTIFICATE = "by_password", "by_certificate"
ADDRESS = "127.0.0.1"

_NOW = datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True, slots=True)
class Issuer:
    """A certificate authority of the test's own."""

    name: str
    key: ec.EllipticCurvePrivateKey
    directory: Path

    @classmethod
    def make(cls, directory: Path, name: str) -> Issuer:
        made = cls(name, ec.generate_private_key(ec.SECP256R1()), directory)
        made._write(name, made.key, x509.BasicConstraints(ca=True, path_length=0))
        return made

    @property
    def certificate(self) -> Path:
        return self.directory / f"{self.name}.pem"

    def issue(self, name: str, *addresses: str) -> tuple[Path, Path]:
        """Certificate and key of that common name, for these addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses] or [x509.DNSName(name)]
        return self._write(name, key, x509.SubjectAlternativeName(names))

    def _write(self, name: str, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> tuple[Path, Path]:
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_NOW - datetime.timedelta(days=1))
            .not_valid_after(_NOW + datetime.timedelta(days=1))
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
            .sign(self.key, hashes.SHA256())
        )
        paths = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].touch(0o600)
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths


@dataclass(frozen=True, slots=True)
class Guarded:
    """A server that takes nothing but TLS on `port`."""

    server: PostgreSQLServer
    port: int
    issuer: Issuer
    stranger: Issuer

    def url(self, host: str = ADDRESS, user: str = USER, **options: object) -> str:
        chosen = {"sslmode": "verify-full", "sslrootcert": self.issuer.certificate, **options}
        query = "&".join(f"{name}={value}" for name, value in chosen.items() if value is not None)
        return f"postgresql://{user}@{host}:{self.port}/postgres?{query}"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    certificates = tmp_path_factory.mktemp("certificates")
    issuer, stranger = Issuer.make(certificates, "issuer"), Issuer.make(certificates, "stranger")
    with socket.create_server((ADDRESS, 0)) as free:
        port = free.getsockname()[1]
    server = start_postgresql(password_encryption="scram-sha-256")  # how it is kept
    asyncio.run(_make_users(server.url))
    server.stop()
    # The server reads these as whoever runs it.
    for name, path in zip(("server.crt", "server.key"), issuer.issue("server", ADDRESS), strict=True):
        _give(server, path, name)
    _give(server, issuer.certificate, "clients.crt")
    server.allow(
        f"hostssl all {BY_CERTIFICATE} all cert", "hostssl all all all scram-sha-256", "hostnossl all all all reject"
    )
    here = server.directory
    server.settings = {
        **server.settings,
        "listen_addresses": ADDRESS,
        "port": str(port),
        "ssl": "on",
        "ssl_cert_file": str(here / "server.crt"),
        "ssl_key_file": str(here / "server.key"),
        "ssl_ca_file": str(here / "clients.crt"),
    }
    server.start()
    yield Guarded(server, port, issuer, stranger)
    server.stop()


async def _make_users(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE ROLE {USER} LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
    await connection.execute(f"CREATE ROLE {BY_CERTIFICATE} LOGIN SUPERUSER")
    await connection.close()


def _give(server: PostgreSQLServer, source: Path, name: str) -> None:
    target = server.directory / name
    shutil.copy(source, target)
    target.chmod(0o600)
    if server.user is not None:
        shutil.chown(target, server.user)


def opened(url: str, password: Password = PASSWORD) -> Database:
    async def run() -> Database:
        database = await open_database(
            url, ERRORS, MIGRATIONS, password=password, schema="guarded", connections=1, connect_seconds=30.0
        )
        assert await database.row("SELECT 1") == (1,)
        await database.close()
        return database

    return asyncio.run(run())


def probed(url: str, password: str | None = PASSWORD) -> Probe:
    return asyncio.run(probe(url, ERRORS, MIGRATIONS, password=password, schema="guarded", connect_seconds=30.0))


def refused(call: Callable[[], object]) -> str:
    """Why; never with the password."""
    with pytest.raises(StorageUnavailable) as caught:
        call()
    seen, error = [], caught.value
    cause: BaseException | None = error
    while cause is not None:
        seen.append(f"{cause} {cause!r}")
        cause = cause.__cause__ or cause.__context__
    assert not any("hush" in each for each in seen)
    return str(error)


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_it_is_reached_by_tls_and_password(guarded: Guarded, mode: str) -> None:
    url = guarded.url(sslmode=mode)
    opened(url)
    assert probed(url).is_encrypted


def test_a_client_with_a_certificate_needs_no_password(guarded: Guarded) -> None:
    certificate, key = guarded.issuer.issue(BY_CERTIFICATE)
    opened(guarded.url(user=BY_CERTIFICATE, sslcert=certificate, sslkey=key), None)
    other, other_key = guarded.stranger.issue("other")
    shutil.copy(other, certificate)
    shutil.copy(other_key, key)
    refused(lambda: opened(guarded.url(user=BY_CERTIFICATE, sslcert=certificate, sslkey=key), None))


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_a_server_that_a_stranger_vouches_for_is_refused(guarded: Guarded, mode: str) -> None:
    url = guarded.url(sslmode=mode, sslrootcert=guarded.stranger.certificate)
    assert "certificate verify failed" in refused(lambda: opened(url))
    assert "certificate verify failed" in refused(lambda: probed(url))


def test_a_server_of_another_name_is_refused(guarded: Guarded) -> None:
    """The certificate is the address's, and not the name's."""
    assert "localhost" in refused(lambda: opened(guarded.url("localhost")))
    opened(guarded.url("localhost", sslmode="verify-ca"))


def test_a_wrong_password_is_refused_and_not_told(guarded: Guarded) -> None:
    assert "28P01" in refused(lambda: opened(guarded.url(), "hush, another"))
    assert "28P01" in refused(lambda: probed(guarded.url(), "hush, another"))


def test_the_server_takes_nothing_in_plain_text(guarded: Guarded) -> None:
    assert "28000" in refused(lambda: opened(guarded.url(sslmode="disable", sslrootcert=None)))


def test_the_password_is_asked_for_at_each_connection(guarded: Guarded) -> None:
    told = iter(["hush, before", PASSWORD])
    refused(lambda: opened(guarded.url(), partial(next, told)))
    opened(guarded.url(), partial(next, told))


def test_the_password_may_be_in_the_environment(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    opened(guarded.url(), None)


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_who_says_that_it_has_no_tls_learns_nothing(guarded: Guarded, mode: str) -> None:
    """As somebody would who sits in between."""
    heard, is_over = bytearray(), asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.readexactly(8))
        writer.write(b"N")
        heard.extend(await reader.read(65_536))
        writer.close()
        await writer.wait_closed()
        is_over.set()

    async with await asyncio.start_server(refuse, ADDRESS, 0) as between:
        port = between.sockets[0].getsockname()[1]
        url = guarded.url(sslmode=mode).replace(f":{guarded.port}/", f":{port}/")
        with pytest.raises(StorageUnavailable) as caught:
            await probe(url, ERRORS, MIGRATIONS, password=PASSWORD, schema="guarded", connect_seconds=30.0)
        await is_over.wait()
    assert "hush" not in str(caught.value)
    assert bytes(heard) == (8).to_bytes(4, "big") + (80_877_103).to_bytes(4, "big"), "the request for TLS alone"


def test_a_gateway_serves_by_it_and_follows_the_password(guarded: Guarded, tmp_path: Path) -> None:
    """Index, identities and keys; the password is in its file, and nowhere else."""
    file = tmp_path / "password"
    file.touch(0o600)
    file.write_text(PASSWORD)
    gateway = Gateway(tmp_path / "gateway" / "data", root="file")
    url = guarded.url()
    places = ("--index", url, "--index-password-file", str(file), "--kms-store", url)
    gateway.data.parent.mkdir()
    gateway.sealgate(
        "init", "--root", "file", "--workers", "1", *places, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
        str(gateway.data),
    )  # fmt: skip
    gateway.start()
    try:
        s3 = gateway.client("s3")
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="k", Body=b"body", ServerSideEncryption="aws:kms")
        file.write_text(f"{PASSWORD}, another\n")
        asyncio.run(_change_password(guarded.server, f"{PASSWORD}, another"))
        wait_until(lambda: _reads(s3), "it is connected by the new password", 60)
        wait_until(lambda: readiness(gateway)[0], "all of it is", 60)
    finally:
        gateway.stop()
        asyncio.run(_change_password(guarded.server, PASSWORD))
        file.write_text(PASSWORD)
    looked = gateway.sealgate("doctor", str(gateway.data), check=False).stdout
    problems = [line for line in looked.splitlines() if line.startswith("PROBLEM")]
    assert all("fsync" in line for line in problems), looked  # which is off for tests
    for path in (path for path in gateway.data.parent.rglob("*") if path.is_file()):
        assert b"hush" not in path.read_bytes(), path


async def _change_password(server: PostgreSQLServer, password: str) -> None:
    """And end all connections that were made by the one before."""
    connection = await asyncpg.connect(f"{server.url}&port={server.settings['port']}")
    await connection.execute(f"ALTER ROLE {USER} PASSWORD '{password}'")
    await connection.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{USER}' AND pid <> pg_backend_pid()"
    )
    await connection.close()


def _reads(s3: Any) -> bool:
    try:
        return bool(s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"body")
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        return False
