"""Data directories of earlier releases, opened by this one; and what a later one has changed, refused."""

from __future__ import annotations

import json
import sqlite3
import tarfile
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import boto3
import pytest

from gateway.config import CONFIG_NAME, Settings, load
from gateway.identities import identities_without_secrets
from gateway.storage.errors import StorageUnavailable
from gateway.storage.index.sqlite.index import open_sqlite_index
from iam.store.interface import StoreUnavailable as IdentitiesUnavailable
from kms.store.interface import StoreTooNew
from kms.store.sqlite import SQLiteKeyStore
from tests.clients.checks import faults
from tests.golden.contents import tell
from tests.harness import REGION, Gateway

HERE = Path(__file__).parent
RELEASES = sorted(path.name for path in HERE.iterdir() if (path / "data.tar.xz").exists())


def unpack(release: str, directory: Path) -> Gateway:
    with tarfile.open(HERE / release / "data.tar.xz") as archive:
        archive.extractall(directory, filter="tar")  # our own, with the modes that it was written with
    return Gateway(directory / "data")


def test_there_is_one() -> None:
    assert "0.1.0" in RELEASES


@pytest.mark.parametrize("release", RELEASES)
def test_a_data_directory_of_an_earlier_release_is_served(release: str, tmp_path: Path) -> None:
    gateway = unpack(release, tmp_path)
    expected = json.loads((HERE / release / "expected.json").read_text())
    known = expected["known"]
    gateway.start()
    try:
        assert tell(gateway, known) == expected["told"]
        s3 = gateway.client("s3")
        ann = boto3.client(
            "s3",
            endpoint_url=gateway.endpoint_url,
            region_name=REGION,
            aws_access_key_id=known["user"]["access_key_id"],
            aws_secret_access_key=known["user"]["secret"],
        )
        assert ann.get_object(Bucket="plain", Key="renamed")["Body"].read() == b"renamed"
        parts = [{"PartNumber": 1, "ETag": known["part"]}]
        s3.complete_multipart_upload(**known["upload"], MultipartUpload={"Parts": parts})
        assert s3.get_object(Bucket="plain", Key="in progress")["Body"].read() == b"a part"
        s3.put_object(Bucket="versions", Key="k", Body=b"new", ServerSideEncryption="aws:kms")
        assert s3.get_object(Bucket="versions", Key="k")["Body"].read() == b"new"
        s3.delete_object(Bucket="plain", Key="kms/66000")
        assert s3.get_object(Bucket="plain", Key="copy")["ContentLength"] == 66_000
    finally:
        gateway.stop()
    assert faults(gateway) == []
    gateway.sealgate("audit", "verify", str(gateway.data))
    proven = gateway.sealgate("kms", "restore", str(gateway.data), str(gateway.data / "kms-backup"), "--dry-run")
    assert "Proven by the root" in proven.stdout


async def open_index(settings: Settings) -> None:
    await (await open_sqlite_index(settings.index_path)).close()


async def open_keys(settings: Settings) -> None:
    SQLiteKeyStore(settings.keys_path).close()


async def open_identities(settings: Settings) -> None:
    with identities_without_secrets(settings):
        pass


STORES: dict[str, tuple[str, Callable[[Settings], Awaitable[None]], str, type[Exception]]] = {
    "index": (
        "index/index.sqlite",
        open_index,
        "INSERT INTO schema_migration VALUES (9999, '9999_later', 0)",
        StorageUnavailable,
    ),
    "keys": ("kms/keys.sqlite", open_keys, "PRAGMA user_version = 9999", StoreTooNew),
    "identities": ("iam/identities.sqlite", open_identities, "PRAGMA user_version = 9999", IdentitiesUnavailable),
}


@pytest.mark.parametrize("store", STORES)
async def test_a_store_of_a_later_release_is_refused_and_left_alone(store: str, tmp_path: Path) -> None:
    data = unpack(RELEASES[-1], tmp_path).data
    name, opens, later, error = STORES[store]
    path = data / name
    settings = load(data / CONFIG_NAME)
    await opens(settings)  # of this release's schema, first
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(later)
        before = list(connection.iterdump())
    with pytest.raises(error, match=r"schema 9999.*; use the newer program"):
        await opens(settings)
    with closing(sqlite3.connect(path)) as connection:
        assert list(connection.iterdump()) == before


def test_a_downgrade_is_told_for_every_store(tmp_path: Path) -> None:
    gateway = unpack(RELEASES[-1], tmp_path)
    for name, _, later, _ in STORES.values():
        with closing(sqlite3.connect(gateway.data / name, isolation_level=None)) as connection:
            connection.execute(later)
    ended = gateway.sealgate("doctor", str(gateway.data), check=False)
    assert ended.returncode == 1
    told = [line for line in ended.stdout.splitlines() if "newer Sealgate (schema 9999;" in line]
    assert [name for name, *_ in STORES.values() if not any(name in line for line in told)] == []
