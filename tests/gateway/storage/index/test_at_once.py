"""What one statement does, and what it does in steps, is the same, to the last column of every table."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gateway.protocol.version_ids import NULL_VERSION_ID, format_version_id
from gateway.storage.index.records import Deletion, NewBlob, ObjectRow, RowKind
from gateway.storage.index.sqlite import objects, open_sqlite_index
from tests.conformance.index import NOW_US, BucketRow, Clock, bucket_row, object_row, upload_row

KEYS = (b"a", b"b")


@dataclass(frozen=True)
class Put:
    row: ObjectRow
    blobs: tuple[NewBlob, ...]


Change = Put | Deletion


def changes_of(seed: int, bucket_id: bytes, count: int = 30) -> list[Change]:
    """Objects and markers, with versions and without, and removals; a clock that goes back now and then."""
    chance = random.Random(seed)
    ids: dict[bytes, list[str]] = {key: [NULL_VERSION_ID] for key in KEYS}
    changes: list[Change] = []
    now_us = NOW_US
    for _ in range(count):
        now_us += chance.choice((-5, 0, 1, 1000))
        key = chance.choice(KEYS)
        version_id = chance.choice((NULL_VERSION_ID, format_version_id(now_us, chance.randbytes(16))))
        if chance.random() < 0.1:  # no request makes one twice; the index need not rely on it
            version_id = chance.choice(ids[key])
        row = object_row(bucket_id, key, version_id=version_id, modified_us=now_us)
        match chance.choice(("put", "put", "put", "parts", "marker", "remove", "remove newest")):
            case "put":
                inline = chance.choice((None, b"small"))
                changes.append(Put(row, (NewBlob(row.blob_ids[0], 5, inline),)))
            case "parts":
                row = replace(row, blob_ids=(os.urandom(16), os.urandom(16)), manifest_id=os.urandom(16))
                changes.append(Put(row, tuple(NewBlob(each, 5) for each in (*row.blob_ids, row.manifest_id or b""))))
            case "marker":
                changes.append(Deletion(key, marker=replace(row, kind=RowKind.DELETE_MARKER, size=0, blob_ids=())))
            case "remove":
                changes.append(Deletion(key, chance.choice(ids[key])))
            case _:
                changes.append(Deletion(key))
        ids[key].append(version_id)
    return changes


async def rows_after(path: Path, bucket: BucketRow, changes: list[Change]) -> tuple[list[object], dict[str, object]]:
    """What each change gave, and all tables."""
    index = await open_sqlite_index(path, durable=False, clock_us=Clock())
    await index.create_bucket(bucket)
    for key in KEYS:  # an upload under way is told of changes of its key
        await index.create_upload(upload_row(bucket.bucket_id, key, upload_id=key * 16, row_uid=key.upper() * 16))
    given: list[object] = []
    for change in changes:
        if isinstance(change, Put):
            given.append(await index.put_object(change.row, change.blobs))
        else:
            given.append(await index.delete_object(bucket.bucket_id, change))
    await index.close()
    with sqlite3.connect(path) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables = {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in names}
    connection.close()
    return given, {name: rows for name, rows in tables.items() if name != "schema_migration"}


@pytest.mark.parametrize("seed", range(25))
async def test_one_statement_and_many_do_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    bucket = bucket_row()
    changes = changes_of(seed, bucket.bucket_id)
    at_once = await rows_after(tmp_path / "at once", bucket, changes)
    for name in ("place_at_once", "mark_at_once", "remove_at_once"):
        monkeypatch.setattr(objects, name, lambda *_: False)
    in_steps = await rows_after(tmp_path / "in steps", bucket, changes)
    assert at_once == in_steps


async def test_a_new_version_and_a_marker_take_one_statement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = await open_sqlite_index(tmp_path / "index", durable=False, clock_us=Clock())
    bucket = bucket_row()
    await index.create_bucket(bucket)
    done: list[bool] = []

    def noting(function: Callable[..., bool]) -> Callable[..., bool]:
        def noted(*arguments: object) -> bool:
            done.append(function(*arguments))
            return done[-1]

        return noted

    for name in ("place_at_once", "mark_at_once"):
        monkeypatch.setattr(objects, name, noting(getattr(objects, name)))
    for number in range(3):
        time_us = NOW_US + number
        row = object_row(bucket.bucket_id, version_id=format_version_id(time_us, os.urandom(16)), modified_us=time_us)
        await index.put_object(row, [NewBlob(row.blob_ids[0], 5)])
    assert done == [True, False, True, False, True], "the second and third look for what is newest first"
    time_us = NOW_US + 3
    marker = object_row(
        bucket.bucket_id,
        version_id=format_version_id(time_us, os.urandom(16)),
        modified_us=time_us,
        kind=RowKind.DELETE_MARKER,
        blob_ids=(),
    )
    await index.delete_object(bucket.bucket_id, Deletion(b"key", marker=marker))
    assert done[5:] == [True]
    page = await index.list_versions(bucket.bucket_id, prefix=b"", delimiter=b"", after=None, max_keys=10, whole=True)
    assert [entry.row.modified_us for entry in page.entries] == [NOW_US + 3, NOW_US + 2, NOW_US + 1, NOW_US]
    await index.close()
