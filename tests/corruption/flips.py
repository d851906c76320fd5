"""Places to flip a bit at, and who is to notice.

In blobs a place is any byte of any file. In databases it is any byte of any value of a row: a byte of a page that
belongs to no value is either structure, which SQLite's own check reads, or means nothing.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from gateway.operations.scrub.checksums import check_inline, check_stored
from gateway.operations.scrub.verify import IndexVerifier
from gateway.sealing.errors import SealingError
from gateway.service_keys import open_service_keys
from gateway.storage.errors import StorageError
from iam.store import SQLiteIdentityStore
from iam.store.interface import IdentityStoreError
from iam.store.seals import SEALED as SEALED_IDENTITIES
from kms.api.errors import KMSError
from kms.api.types import Decrypt
from kms.epoch import SharedEpoch
from kms.service.core import ServiceSettings
from kms.service.service import EmbeddedKeyService
from kms.store.interface import StoreError
from kms.store.sqlite import SQLiteKeyStore
from kms.store.sqlite.seals import SEAL_KEY_ID
from tests.corruption.estate import CALLER, Estate, copy_database
from tests.gateway.changed_rows import Row, Table, Value
from tests.gateway.gateway_in_process import REGION
from tests.gateway.underneath import index_path
from tests.iam.store.one_of_each import put_one_of_each
from tests.iam.store.test_sqlite import KEY, AESGCMSecretSealer

INDEX_TABLES = (
    "bucket",
    "object_version",
    "object_parts",
    "blob",
    "inline_blob",
    "multipart_upload",
    "multipart_part",
    "key_epoch",
    "batch_job",
)
"""All but leases, client tokens, bucket keys in use, and what a scrub noted: nothing that is kept rests on these."""

KEY_TABLES = ("kms_key", "kms_key_version", "kms_alias", "kms_grant")
"""What the key store says of keys. Not when a key was last used, and what waits for the audit trail."""


@dataclass(slots=True)
class Found:
    """By population how many flips were noticed, and by column how many were not."""

    noticed: Counter[str] = field(default_factory=Counter)
    unnoticed: Counter[str] = field(default_factory=Counter)

    def add(self, where: str, is_noticed: bool, column: tuple[str, str] = ("", "")) -> None:
        if is_noticed:
            self.noticed[where] += 1
        else:
            self.unnoticed[".".join(column) if column[0] else where] += 1


async def flip_blobs(estate: Estate, count: int, randoms: random.Random, found: Found) -> None:
    """Any byte of any file of the store, by the checks of `sealgate scrub`, without a key."""
    paths = sorted(path for path in (estate.gateway.blobs_directory / "blobs").rglob("*") if path.is_file())
    sizes = [path.stat().st_size for path in paths]
    rows = {path: await estate.gateway.index.get_blob(bytes.fromhex(path.name)) for path in paths}
    for path in randoms.choices(paths, sizes, k=count):
        row = rows[path]
        assert row is not None
        with path.open("r+b") as file:
            place = randoms.randrange(row.stored_bytes)
            file.seek(place)
            good = file.read(1)
            for byte in (bytes([good[0] ^ 1 << randoms.randrange(8)]), good):
                file.seek(place)
                file.write(byte)
                file.flush()
                try:
                    await check_stored(estate.gateway.services.blobs, row.blob_id, row.stored_bytes, _no_wait)
                    is_noticed = False
                except SealingError:
                    is_noticed = True
                if byte != good:
                    found.add("blobs", is_noticed)
                else:
                    assert not is_noticed


async def flip_index(estate: Estate, count: int, randoms: random.Random, found: Found) -> None:
    """By `sealgate index verify`, by the start of a gateway, and for inline blobs by `sealgate scrub`."""
    gateway = estate.gateway
    with closing(sqlite3.connect(index_path(gateway), timeout=30)) as index:
        index.row_factory = sqlite3.Row

        async def is_noticed(table: str, row: Row) -> bool:
            try:
                if table == "inline_blob":
                    await _check_inline(estate, index, row)
                elif table == "blob":
                    await _check_length(estate, row)
                elif table == "key_epoch":
                    await open_service_keys(gateway.kms, gateway.index, request_id="test")
                services = gateway.services
                verifier = IndexVerifier(gateway.index, services.blobs, services.rows, orphan_grace_seconds=3600)
                return bool((await verifier.verify()).problems)
            except (SealingError, StorageError, KMSError, ValueError):
                return True

        await _flip_rows("index", index, INDEX_TABLES, count, randoms, found, is_noticed)


async def flip_keys(estate: Estate, directory: Path, count: int, randoms: random.Random, found: Found) -> None:
    """By using each key anew, as a key process does that has just started, or by its look at every row."""
    path = directory / "keys.sqlite"
    copy_database(index_path(estate.gateway).with_name("keys.sqlite"), path)
    with closing(SharedEpoch.open_writer(directory / "epoch")) as epoch, closing(sqlite3.connect(path)) as keys:
        keys.row_factory = sqlite3.Row
        wanted = {SEAL_KEY_ID, *(key_id for key_id, _ in estate.ciphertexts)}
        with keys:  # those that nothing here was encrypted under cannot be asked for a plaintext
            keys.execute(f"DELETE FROM kms_key_version WHERE key_id NOT IN ({','.join('?' * len(wanted))})", [*wanted])

        async def is_noticed(_table: str, row: Row) -> bool:
            with closing(SQLiteKeyStore(path)) as store:
                try:
                    async with EmbeddedKeyService(store, estate.gateway.root, epoch, ServiceSettings(REGION)) as kms:
                        for ciphertext in estate.ciphertexts.values():
                            answer = await kms.call(CALLER, Decrypt(ciphertext))
                            assert answer.plaintext.reveal() == estate.secret
                        return bool(store.prove_rows())
                except (KMSError, StoreError, ValueError):
                    return True

        assert not await is_noticed("", {})
        await _flip_rows("key store", keys, KEY_TABLES, count, randoms, found, is_noticed)


async def flip_identities(directory: Path, count: int, randoms: random.Random, found: Found) -> None:
    """By the look at every row that `sealgate doctor` has."""
    path, sealer = directory / "identities.sqlite", AESGCMSecretSealer(KEY)
    with closing(SQLiteIdentityStore(path, sealer, lambda _: None)) as store:
        put_one_of_each(store)
    with closing(sqlite3.connect(path)) as identities:
        identities.row_factory = sqlite3.Row

        async def is_noticed(_table: str, _row: Row) -> bool:
            try:
                with closing(SQLiteIdentityStore(path, sealer, lambda _: None)) as store:
                    return bool(store.prove_rows())
            except (IdentityStoreError, ValueError):
                return True

        assert not await is_noticed("", {})
        await _flip_rows("identities", identities, tuple(SEALED_IDENTITIES.tables), count, randoms, found, is_noticed)


async def _flip_rows(
    where: str,
    database: sqlite3.Connection,
    tables: tuple[str, ...],
    count: int,
    randoms: random.Random,
    found: Found,
    is_noticed: Callable[[str, Row], Awaitable[bool]],
) -> None:
    places = [
        (table, row, column)
        for table in (Table(database, name) for name in tables)
        for row in table.rows
        for column in table.columns
        if row[column] is not None and row[column] != ""
    ]
    weights = [len(_bytes_of(row[column])) for _, row, column in places]
    done = 0
    while done < count:
        ((table, row, column),) = randoms.choices(places, weights)
        changed, cast = _flipped(row[column], randoms)
        with suppress(sqlite3.IntegrityError), table.changed(row, column, changed, cast):
            found.add(where, await is_noticed(table.name, {**row, column: changed}), (table.name, column))
            done += 1


async def _check_inline(estate: Estate, index: sqlite3.Connection, row: Row) -> None:
    """As a scrub, of the blob whose bytes this row has. Raises SealingError."""
    blob = index.execute("SELECT blob_id, stored_bytes FROM blob WHERE blob_id = ?", (row["blob_id"],)).fetchone()
    if blob is not None:
        data = await estate.gateway.index.read_inline(blob["blob_id"])
        await check_inline(blob["blob_id"], data, blob["stored_bytes"])


async def _check_length(estate: Estate, row: Row) -> None:
    """As a scrub, of a blob in the store. Raises SealingError, and StorageError for a blob that is not there."""
    blob_id, stored_bytes = row["blob_id"], row["stored_bytes"]
    assert isinstance(blob_id, bytes) and isinstance(stored_bytes, int)
    if not row["is_inline"]:
        await check_stored(estate.gateway.services.blobs, blob_id, stored_bytes, _no_wait)


def _bytes_of(value: Value) -> bytes:
    match value:
        case int():
            return struct.pack(">q", value)
        case str():
            return value.encode()
        case bytes():
            return value
    raise TypeError


def _flipped(value: Value, randoms: random.Random) -> tuple[Value, str]:
    """With one bit changed, and how SQLite is to take it: text may be none any more."""
    data = bytearray(_bytes_of(value))
    data[randoms.randrange(len(data))] ^= 1 << randoms.randrange(8)
    if isinstance(value, int):
        return struct.unpack(">q", data)[0], "?"
    return bytes(data), "CAST(? AS TEXT)" if isinstance(value, str) else "?"


async def _no_wait(_: int) -> None:
    await asyncio.sleep(0)


def room_for_keys(directory: Path) -> Path:
    """An empty directory below `directory`."""
    made = directory / "keys"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    return made
