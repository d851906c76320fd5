"""Rebuilding the index of a gateway in process, and all rows of an index on SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from gateway.index_notes import NoteKeeper, Notes, read_notes
from gateway.rebuild.footers import FooterOpener
from gateway.rebuild.rebuilder import Rebuilder, RebuildReport
from gateway.rebuild.scratch import Scratch
from gateway.storage.index.interface import Index
from gateway.storage.index.sqlite.index import open_sqlite_index
from gateway.storage.sweep import Sweeper
from kms.api.secrets import SecretBytes
from tests.gateway.gateway_in_process import InProcessGateway
from tests.gateway.populated import CUSTOMER_KEY

COLUMNS = (
    "bucket_id, history, key, vsort, row_uid, version_id, kind, size, modified_us, mode, wrapped, key_arn, key_version,"
    " blob_id, manifest_id, part_count, blob_count, has_parts"
)
"""Of object_version: all but the revision and what is sealed for it."""

TABLES = (
    f"SELECT {COLUMNS} FROM object_version ORDER BY bucket_id, history, key, vsort",
    "SELECT * FROM bucket ORDER BY bucket_id",
    "SELECT row_uid, blob_ids FROM object_parts ORDER BY row_uid",
    "SELECT blob_id, stored_bytes, is_inline, refs, condemned_us FROM blob ORDER BY blob_id",
    "SELECT * FROM key_epoch ORDER BY purpose, epoch",
)


async def notes_of(gateway: InProcessGateway, directory: Path) -> Notes:
    path = directory / "notes"
    await NoteKeeper(path, gateway.index).keep()
    return read_notes(path)


async def sweep(gateway: InProcessGateway, index: Index | None = None) -> None:
    blobs = gateway.services.blobs
    await Sweeper(
        index or gateway.index,
        blobs,
        "s",
        condemned_grace_seconds=-1,
        orphan_grace_seconds=-1,
        orphan_interval_seconds=-1,
    ).sweep()


@asynccontextmanager
async def rebuilt(
    gateway: InProcessGateway,
    directory: Path,
    *,
    customer_keys: Sequence[bytes] = (CUSTOMER_KEY,),
    notes: Notes | None = None,
    into: Index | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Index, RebuildReport]]:
    services = gateway.services
    notes = notes or await notes_of(gateway, directory)
    opener = FooterOpener(
        services.data_keys,
        services.rows,
        names={row.bucket_id: row.name for row in notes.buckets},
        customer_keys=[SecretBytes(key) for key in customer_keys],
        via_service="s3.us-east-1.amazonaws.com",
    )
    index = into or await open_sqlite_index(directory / "rebuilt.sqlite", durable=False)
    with closing(Scratch(directory / "scratch.sqlite")) as scratch:
        rebuilder = Rebuilder(notes, services.blobs, services.rows, opener, scratch, "us-east-1", **options)
        await rebuilder.read()
        await rebuilder.write(index)
    assert not (directory / "scratch.sqlite").exists()
    yield index, rebuilder.report
    await index.close()


def tables(path: Path) -> list[list[Any]]:
    with closing(sqlite3.connect(path)) as connection:
        return [connection.execute(query).fetchall() for query in TABLES]
